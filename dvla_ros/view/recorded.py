"""A recording into the view."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from dvla_ros.control.widowx_streams import camera_topic
from dvla_ros.errors import DvlaError
from dvla_ros.recordings.bag import Bag, RecordedMessage
from dvla_ros.recordings.topics import RecordedTopics
from dvla_ros.view.facts import Fact
from dvla_ros.view.messages import Reader, readers

_CAMERA = re.compile(r"^/(\w+)_camera/image_raw(?:/compressed)?$")
_JOINTS = re.compile(r"^/(\w+)/joint_states$")
_TASK = "/sim_node/task_status"
_TOLD = 3
"""So many broken messages of a topic are told one by one; the others are counted."""


def recorded_cameras(topics: Collection[str]) -> tuple[str, ...]:
    """Names of the cameras that a recording has pictures of, in order of the alphabet."""
    return tuple(sorted({found[1] for topic in topics if (found := _CAMERA.match(topic))}))


def recorded_robot(topics: Collection[str], otherwise: str) -> str:
    """Namespace of the robot whose joints were recorded; `otherwise` where there is none, or more than one."""
    names = {found[1] for topic in topics if (found := _JOINTS.match(topic))}
    return names.pop() if len(names) == 1 else otherwise


def is_simulated(topics: Collection[str]) -> bool:
    """Whether the recording is one of the simulated robot."""
    return _TASK in topics


@dataclass(frozen=True)
class Moment:
    """A fact and when it was recorded, in seconds; without a fact, what is wrong with the message."""

    received: float
    fact: Fact | None
    problem: str = ""


class RecordedFacts:
    """The facts of a recording in order of recording.

    Args:
        bag: The recording, open. What cannot be shown is added to its warnings.
        topics: Of the robot; of a camera that has both, the raw pictures are shown.
        picture_hz: At most so many pictures per second and camera; 0: all.

    Attributes:
        counts: How many facts there were, by name of their class.
        left_out: How many messages could not be shown, by topic.
    """

    def __init__(self, bag: Bag, topics: RecordedTopics, picture_hz: float = 0.0) -> None:
        self._bag, self._readers = bag, _readable(bag, topics)
        self._spacing = 0.95 / picture_hz if picture_hz > 0.0 else 0.0
        self._shown: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()

    def moments(self, begin: float | None = None, end: float | None = None) -> Iterator[Moment]:
        """All facts recorded between two times in seconds, and a word for messages that are left out."""
        for message in self._bag.messages(list(self._readers), begin, end):
            if self._too_soon(message):
                continue
            try:
                fact = self._readers[message.topic](message.message, message.received)
            except (DvlaError, AttributeError, TypeError, ValueError) as error:
                yield from self._broken(message, error)
                continue
            if fact is not None:
                self.counts[type(fact).__name__] += 1
                yield Moment(message.received, fact)

    def _broken(self, message: RecordedMessage, error: Exception) -> Iterator[Moment]:
        self.left_out[message.topic] += 1
        count = self.left_out[message.topic]
        many = "1 message is" if count == 1 else f"{count} messages are"
        self._bag.warn(f"{message.topic}: {many} not shown, the last one: {error}", about=f"shown {message.topic}")
        if count <= _TOLD:
            yield Moment(message.received, None, f"{message.topic}: a message is not shown: {error}")

    def _too_soon(self, message: RecordedMessage) -> bool:
        if not self._spacing or not _CAMERA.match(message.topic):
            return False
        if 0.0 <= message.received - self._shown.get(message.topic, float("-inf")) < self._spacing:
            return True
        self._shown[message.topic] = message.received
        return False


def _readable(bag: Bag, topics: RecordedTopics) -> dict[str, Reader]:
    """The readers of what a bag has with the right type; a word of warning for the wrong ones."""
    found = {}
    for topic, (kind, reader) in readers(topics).items():
        if bag.topics.get(topic, kind) != kind:
            bag.warn(f"{topic} is not shown: it is {bag.topics[topic]}, needed is {kind}.")
        elif topic in bag.topics:
            found[topic] = reader
    for camera in topics.cameras:
        if camera_topic(camera, compressed=False) in found:
            found.pop(camera_topic(camera, compressed=True), None)
    return found
