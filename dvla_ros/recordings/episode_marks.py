"""What tells the episodes of a recording apart: four ways to find their beginnings and ends.

Each gives the episodes in order of time, or none where the recording has no such marks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dvla_ros.control.widowx_streams import stamp_seconds
from dvla_ros.recordings.bag import Bag, RecordedMessage
from dvla_ros.recordings.message_types import is_service_event
from dvla_ros.recordings.topics import COMPRESSED_IMAGE, IMAGE, JOINT_STATE, RecordedTopics, with_type

_CHUNK, _REQUEST = "dvla_ros/msg/ActionChunk", "dvla_ros/msg/InferenceRequest"
_TEXT, _TASK = "std_msgs/msg/String", "dvla_ros/msg/TaskStatus"
_SUCCESS = "success"
_EVENTS_SUFFIX = "/_service_event"
_NO_RESET = ("reset_fault",)
"""Services whose names begin with `reset` and that lay out no scene."""

_FAR_S = 5.0
"""An anchor further than this from its recording is on another clock."""


@dataclass(frozen=True)
class Mark:
    """Beginning and end of an episode in seconds, time of recording, and what was asked; empty: not said."""

    start: float
    end: float
    instruction: str = ""


def runs(bag: Bag, topics: RecordedTopics, gap_s: float) -> list[Mark]:
    """A run of the policy for each epoch and instruction: from its first anchor to the end of its last chunk."""
    requests = with_type(bag, [topics.inference_request], _REQUEST)
    chunks = with_type(bag, [topics.action_chunk], _CHUNK)
    if not requests and not chunks:
        return []
    words = with_type(bag, [topics.instruction], _TEXT)
    found: list[Mark] = []
    key: tuple[int, str] | None = None
    asked, lasts = "", gap_s
    for recorded in bag.messages([*requests, *chunks, *words]):
        message = recorded.message
        if recorded.topic == topics.instruction:
            asked = message.data.strip()
        elif recorded.type == _CHUNK:
            lasts = message.horizon * stamp_seconds(message.dt)
        if recorded.type == (_REQUEST if requests else _CHUNK):
            run = (message.epoch, message.instruction if requests else asked)
            if run != key:
                key = run
                found.append(Mark(_anchor(recorded), recorded.received, run[1]))
        if found and recorded.type in (_REQUEST, _CHUNK):
            found[-1] = replace(found[-1], end=recorded.received + lasts)
    return _one_after_another(found, bag.end)


def instructions(bag: Bag, topics: RecordedTopics, gap_s: float) -> list[Mark]:
    """An episode for each message of the instruction topic, up to the next one."""
    found: list[Mark] = []
    last: tuple[float, str] | None = None
    for recorded in bag.messages(with_type(bag, [topics.instruction], _TEXT)):
        words, now = recorded.message.data.strip(), recorded.received
        again = last is not None and last[1] == words and now - last[0] <= gap_s
        last = (now, words)
        if again:
            continue
        if found and found[-1].end > now:
            found[-1] = replace(found[-1], end=now)
        if words:
            found.append(Mark(now, bag.end, words))
    return found


def resets(bag: Bag, topics: RecordedTopics, gap_s: float) -> list[Mark]:
    """An episode from each reset to the next, and one before the first where that is longer than `gap_s`."""
    events = [topic for topic, kind in bag.topics.items() if is_service_event(kind) and _is_reset(topic)]
    status = with_type(bag, [topics.task_status], _TASK)
    answered: dict[tuple[bytes, int], float] = {}
    counted: dict[int, tuple[float, str]] = {}
    for recorded in bag.messages([*events, *status]):
        if recorded.topic == topics.task_status:
            episode = recorded.message.episode
            counted.setdefault(episode, (recorded.received, recorded.message.instruction))
        else:  # of the up to four events of a call the last one counts: the scene stands
            answered[_call(recorded.message)] = recorded.received
    if answered:
        return _between([Mark(time, bag.end, _said(counted, time)) for time in sorted(answered.values())], bag, gap_s)
    if len(counted) > 1:
        return _between([Mark(time, bag.end, words) for time, words in sorted(counted.values())], bag, gap_s)
    return []


def successes(bag: Bag, topics: RecordedTopics) -> list[float]:
    """Times of recording at which the simulated scene said that what was asked is done; in seconds, in order."""
    status = with_type(bag, [topics.task_status], _TASK)
    return [recorded.received for recorded in bag.messages(status) if recorded.message.outcome == _SUCCESS]


def gaps(bag: Bag, topics: RecordedTopics, gap_s: float) -> list[Mark]:
    """The stretches between pauses in which the joint states or a camera are silent; none where there is no pause."""
    streams = [*with_type(bag, [topics.joint_states], JOINT_STATE), *_images(bag, topics)]
    first, last = dict[str, float](), dict[str, float]()
    silences: list[tuple[float, float]] = []
    for topic, received in bag.arrivals(streams):
        before = last.get(topic, received)
        if received - before > gap_s:
            silences.append((before, received))
        last[topic] = received
        first.setdefault(topic, received)
    if not silences:
        return []
    return [Mark(start, end) for start, end in _outside(sorted(silences), min(first.values()), max(last.values()))]


def _images(bag: Bag, topics: RecordedTopics) -> list[str]:
    kinds = (IMAGE, COMPRESSED_IMAGE)
    names = {f"/{camera}_camera/image_raw{suffix}" for camera in topics.cameras for suffix in ("", "/compressed")}
    return [topic for topic, kind in bag.topics.items() if topic in names and kind in kinds]


def _outside(silences: Iterable[tuple[float, float]], start: float, end: float) -> list[tuple[float, float]]:
    """The stretches from `start` to `end` that no silence covers."""
    kept = []
    for began, ended in silences:
        if began >= start:
            kept.append((start, began))
        start = max(start, ended)
    return [*kept, (start, end)]


def _between(marks: Sequence[Mark], bag: Bag, gap_s: float) -> list[Mark]:
    before = [Mark(bag.start, bag.end)] if marks[0].start - bag.start > gap_s else []
    return _one_after_another([*before, *marks], bag.end)


def _one_after_another(marks: Sequence[Mark], end: float) -> list[Mark]:
    """None reaches into the next, or beyond the end."""
    nexts = [mark.start for mark in marks[1:]] + [end]
    return [replace(mark, end=min(mark.end, following)) for mark, following in zip(marks, nexts, strict=True)]


def _anchor(recorded: RecordedMessage) -> float:
    """The anchor of a request or chunk; the time of recording where that is on another clock."""
    message = recorded.message
    anchor = stamp_seconds(message.observation_stamp if recorded.type == _CHUNK else message.header.stamp)
    return anchor if abs(recorded.received - anchor) < _FAR_S else recorded.received


def _is_reset(topic: str) -> bool:
    service = topic.removesuffix(_EVENTS_SUFFIX).rsplit("/", 1)[-1]
    return service.startswith("reset") and service not in _NO_RESET


def _call(info: Any) -> tuple[bytes, int]:
    return bytes(info.client_gid), int(info.sequence_number)


def _said(counted: dict[int, tuple[float, str]], time: float) -> str:
    """What the scene says next at or after a reset."""
    return next((words for received, words in sorted(counted.values()) if received >= time), "")
