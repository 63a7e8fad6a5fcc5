"""Plays streams of a recording onto their topics as if they happened now."""

import importlib
import queue
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from dvla_ros.errors import NodeError
from dvla_ros.evaluation.real_time import Milliseconds
from dvla_ros.recordings.bag import Bag

INSTRUCTION = "/instruction"
OVERRUN_S = 0.02
"""Later than this a message counts as late."""
_AHEAD = 60
"""Messages that are read before they are due: two cameras' images of a second take 55 MB."""
_LEAD_S = 0.3
_POLL_S = 0.05
_STREAM_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class Sentence:
    """An instruction and when it was given, in nanoseconds on the clock of the recording."""

    received_ns: int
    text: str


@dataclass(frozen=True)
class _Due:
    received_ns: int
    topic: str
    data: bytes


@dataclass
class Playback:
    """What was played: messages by topic, how late each was in seconds, and seconds of the recording."""

    played: Counter[str] = field(default_factory=Counter)
    lateness: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def late(self) -> Milliseconds:
        """How late messages were."""
        return Milliseconds.of(self.lateness)

    @property
    def overruns(self) -> int:
        """Messages that were late."""
        return sum(late > OVERRUN_S for late in self.lateness)


class BagPlayer:
    """Publishes messages at the distances in time at which they were recorded, stamped anew.

    Every stamp is moved by the same time, so that streams keep their offsets and messages their delays.

    Args:
        node: Makes the publishers.
        bag: The recording, open.
        streams: Topics whose messages begin with a header.
        sentences: What is said on `/instruction`, in order of time.
    """

    def __init__(self, node: Node, bag: Bag, streams: Sequence[str], sentences: Sequence[Sentence]) -> None:
        self._bag, self._streams, self._sentences = bag, tuple(streams), tuple(sentences)
        self._publishers = {
            topic: node.create_publisher(message_class(bag.topics[topic]), topic, _STREAM_QOS) for topic in streams
        }
        self._instructions = node.create_publisher(String, INSTRUCTION, _LATCHED_QOS)

    def wait_for_listeners(self, patience_s: float, check: Callable[[], None]) -> None:
        """Wait until somebody listens to every topic.

        Args:
            patience_s: How long.
            check: Raises when it has become pointless to wait.

        Raises:
            NodeError: Nobody listens to a topic in time.
        """
        deadline = time.monotonic() + patience_s
        while deaf := [publisher.topic for publisher in self._all() if publisher.get_subscription_count() == 0]:
            check()
            if time.monotonic() > deadline:
                raise NodeError(f"Nobody listens to {', '.join(deaf)}. Does the policy have these cameras?")
            time.sleep(_POLL_S)

    def play(self, duration_s: float, check: Callable[[], None]) -> Playback:
        """Play in real time; returns when the recording, or so many seconds of it, is over.

        Args:
            duration_s: 0: all of it.
            check: Called about once per second; raises to stop.
        """
        ahead: queue.Queue[_Due | Exception | None] = queue.Queue(_AHEAD)
        stopping = threading.Event()
        reader = threading.Thread(target=self._read, args=(ahead, duration_s, stopping), daemon=True)
        reader.start()
        try:
            return self._play(ahead, check)
        finally:
            stopping.set()
            while reader.is_alive():
                _drain(ahead)
                reader.join(_POLL_S)

    def _play(self, ahead: "queue.Queue[_Due | Exception | None]", check: Callable[[], None]) -> Playback:
        playback, begin_ns, offset_ns, checked = Playback(), 0, 0, time.monotonic()
        while (due := ahead.get()) is not None:
            if isinstance(due, Exception):
                raise due
            if not begin_ns:
                begin_ns = due.received_ns
                offset_ns = time.time_ns() + int(_LEAD_S * 1e9) - begin_ns
            time.sleep(max(0.0, 1e-9 * (due.received_ns + offset_ns - time.time_ns())))
            playback.lateness.append(1e-9 * (time.time_ns() - due.received_ns - offset_ns))
            self._publish(due, offset_ns)
            playback.played[due.topic] += 1
            playback.seconds = 1e-9 * (due.received_ns - begin_ns)
            if time.monotonic() - checked > 1.0:
                check()
                checked = time.monotonic()
        return playback

    def _publish(self, due: _Due, offset_ns: int) -> None:
        if due.topic == INSTRUCTION:
            self._instructions.publish(String(data=due.data.decode()))
        else:
            self._publishers[due.topic].publish(restamped(due.data, offset_ns))

    def _read(
        self, ahead: "queue.Queue[_Due | Exception | None]", duration_s: float, stopping: threading.Event
    ) -> None:
        """Reader thread: fill the queue, which makes it wait."""
        try:
            for due in self._due(duration_s):
                if stopping.is_set():
                    return
                ahead.put(due)
            ahead.put(None)
        except Exception as error:  # whatever it is, the playing thread raises it
            ahead.put(error)

    def _due(self, duration_s: float) -> Iterator[_Due]:
        streams = (_Due(m.received_ns, m.topic, m.data) for m in self._bag.messages(self._streams))
        said = (_Due(sentence.received_ns, INSTRUCTION, sentence.text.encode()) for sentence in self._sentences)
        begin_ns = 0
        for due in merge(said, streams, key=lambda due: due.received_ns):
            begin_ns = begin_ns or due.received_ns
            if duration_s and due.received_ns - begin_ns > duration_s * 1e9:
                return
            yield due

    def _all(self) -> list[Publisher]:
        return [*self._publishers.values(), self._instructions]


def restamped(cdr: bytes, offset_ns: int) -> bytes:
    """A message in CDR whose first field is a `std_msgs/Header`, with its stamp moved by nanoseconds.

    The stamp stands right behind the four bytes that say the order of the others. One that was never set stays so.
    """
    order = "<" if cdr[1] & 1 else ">"
    sec, nanosec = struct.unpack_from(f"{order}iI", cdr, 4)
    if sec == 0 and nanosec == 0:
        return cdr
    sec, nanosec = divmod(sec * 1_000_000_000 + nanosec + offset_ns, 1_000_000_000)
    return b"".join((cdr[:4], struct.pack(f"{order}iI", sec, nanosec), memoryview(cdr)[12:]))


def message_class(name: str) -> Any:
    """The class of `package/msg/Name`."""
    package, _, kind = name.partition("/msg/")
    return getattr(importlib.import_module(f"{package}.msg"), kind)


def _drain(ahead: "queue.Queue[_Due | Exception | None]") -> None:
    while not ahead.empty():
        ahead.get_nowait()
