"""Observations from a recording: the same alignment code as live, one pass, bounded memory.

Messages go in order of recording into the assembler that the policy node uses. An observation is taken as soon as every
stream covers its anchor; what is stored later does not change it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.control.assembler import JOINTS, ObservationAssembler
from dvla_ros.control.frozen_camera import Movement
from dvla_ros.control.observation import Observation
from dvla_ros.control.widowx_streams import stamp_seconds, store_camera, store_joints, widowx_assembler
from dvla_ros.errors import ObservationError
from dvla_ros.recordings.bag import Bag, RecordedMessage
from dvla_ros.recordings.pending_anchors import PendingAnchors
from dvla_ros.recordings.stream_check import StreamCheck
from dvla_ros.recordings.topics import JOINT_STATE, RecordedTopics, require_topic

Answer = tuple[float, Observation | ObservationError]

HISTORY_S = 3.0
"""Seconds of images that are kept: a recorder may write streams later than one another by most of it."""

Instruction = Callable[[float], str] | str


@dataclass(frozen=True)
class _Stream:
    """A topic that observations are made of: its name in messages, and where it is stored."""

    name: str
    store: Callable[[RecordedMessage], None]
    check: StreamCheck


def observations(
    bag: Bag,
    topics: RecordedTopics,
    alignment: AlignmentConfig,
    anchors: Sequence[float],
    instruction: Instruction,
) -> Iterator[Answer]:
    """The observation of each anchor, or why there is none; in the order of the anchors.

    Anchors ascend; where one goes back, the clock of the recording was set back before it.

    Give the anchors of all episodes at once: each call reads the bag from its beginning. What is wrong with the stamps
    of a stream is added to the bag's warnings.

    Args:
        bag: The recording.
        topics: Robot and cameras.
        alignment: As of the policy node that is to be repeated, or to be judged.
        anchors: Seconds, on the clock that `alignment.stamp_source` says, latencies taken off.
        instruction: What the robot is asked to do, or what it is asked at an anchor.

    Raises:
        RecordingError: The bag lacks a topic, or has it with another type.
        ConfigurationError: There is no latency for each camera.
    """
    for anchor, assembler in assembled(bag, topics, alignment, anchors):
        yield anchor, _observe(assembler, anchor, instruction)


def assembled(
    bag: Bag, topics: RecordedTopics, alignment: AlignmentConfig, anchors: Sequence[float]
) -> Iterator[tuple[float, ObservationAssembler]]:
    """As `observations`: for each anchor the assembler, as soon as it can tell what there was to see at that time.

    Raises:
        RecordingError: The bag lacks a topic, or has it with another type.
        ConfigurationError: There is no latency for each camera.
    """
    assembler = widowx_assembler(topics.cameras, alignment, history_s=max(HISTORY_S, alignment.limits.history_s))
    streams = _streams(bag, topics, alignment, assembler)
    pending = PendingAnchors(anchors, HISTORY_S - alignment.max_skew_s)
    for anchor in _due(bag, streams, assembler, pending):
        yield anchor, assembler
    for stream in streams.values():
        for about, problem in stream.check.problems().items():
            bag.warn(problem, about=f"{about} {stream.name}")


def _streams(
    bag: Bag, topics: RecordedTopics, alignment: AlignmentConfig, assembler: ObservationAssembler
) -> dict[str, _Stream]:
    """What is done with the messages of each topic."""

    def keep_image(camera: str) -> Callable[[RecordedMessage], None]:
        return lambda recorded: store_camera(assembler, camera, recorded.message, recorded.received)

    def keep_joints(recorded: RecordedMessage) -> None:
        store_joints(assembler, recorded.message, recorded.received)

    by_header = alignment.stamp_source == "header"
    found = {topics.image_topic(bag, camera): (camera, keep_image(camera)) for camera in topics.cameras}
    found[require_topic(bag, topics.joint_states, JOINT_STATE)] = (JOINTS, keep_joints)
    return {topic: _Stream(name, keep, StreamCheck(topic, by_header)) for topic, (name, keep) in found.items()}


def _due(
    bag: Bag, streams: dict[str, _Stream], assembler: ObservationAssembler, anchors: PendingAnchors
) -> Iterator[float]:
    arm = Movement()
    for recorded in bag.messages(streams):
        if not anchors:
            break
        stream = streams[recorded.topic]
        stream.store(recorded)
        stream.check.see(stamp_seconds(recorded.message.header.stamp), recorded.received, recorded.message)
        if stream.name == JOINTS and arm.see(np.asarray(recorded.message.position, np.float64)):
            for other in streams.values():
                other.check.arm_moved(recorded.received)
        yield from anchors.due(assembler.newest)
    yield from anchors.rest()


def _observe(
    assembler: ObservationAssembler, anchor: float, instruction: Instruction
) -> Observation | ObservationError:
    try:
        require_cover(assembler, anchor)
        assembler.set_instruction(instruction if isinstance(instruction, str) else instruction(anchor))
        return assembler.observe(anchor)
    except ObservationError as error:
        return error


def require_cover(assembler: ObservationAssembler, anchor: float) -> None:
    """Every stream has something at the anchor or after it.

    Raises:
        ObservationError: One ends before; the message names it.
    """
    for name, newest in assembler.newest.items():
        if newest is None:
            raise ObservationError(f"'{name}' has no message until {anchor:.3f} s.")
        if newest < anchor:
            raise ObservationError(f"'{name}' has nothing after {newest:.3f} s, {anchor - newest:.3f} s before.")
