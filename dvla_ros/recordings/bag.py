"""A bag: rosbag2 recordings (mcap or sqlite3, split, compressed, damaged) as messages in order of recording."""

import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import zstandard

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.bag_files import ZSTD_MAGIC, open_storage, storage_paths
from dvla_ros.recordings.merging import in_order
from dvla_ros.recordings.message_types import RecordedTypes
from dvla_ros.recordings.storage import FIRST_NS, LAST_NS, Channel, StorageFile, Stored


@dataclass(frozen=True)
class RecordedMessage:
    """A message of a bag.

    Attributes:
        topic: Its topic.
        type: Its type, e.g. `sensor_msgs/msg/Image`.
        received_ns: Time of its recording in ns.
        data: As it was serialised (CDR).
        message: Its fields under their ROS names; arrays are NumPy arrays that cannot be written to. Of a service's
            event only `service_msgs/msg/ServiceEventInfo`.
    """

    topic: str
    type: str
    received_ns: int
    data: bytes
    message: Any

    @property
    def received(self) -> float:
        """Time of its recording in seconds."""
        return self.received_ns * 1e-9


class Bag:
    """An open bag; use it as a context manager.

    What is wrong with it is said in `warnings` and left out; the rest is read.

    Args:
        path: Folder of a rosbag2, or one `.mcap` or `.db3` file.

    Attributes:
        path: As given.
        topics: Types by topic, of those that can be read.
        start: Time of the first recording in seconds; 0 when the bag is empty.
        end: Time of the last recording in seconds; 0 when the bag is empty.
        warnings: What was wrong and left out, in words; grows while messages are read.

    Raises:
        RecordingError: There is no bag, or nothing of it can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._lines: dict[str, int] = {}
        self._unpacked: tempfile.TemporaryDirectory[str] | None = None
        self._files: list[StorageFile] = []
        try:
            self._open_files(storage_paths(path, self.warn))
            channels = self._channels()
            self._types = RecordedTypes(channels)
        except BaseException:
            self.close()
            raise
        for topic, problem in self._types.problems.items():
            self.warn(f"{topic} is left out: {problem}.")
        self.topics: Mapping[str, str] = {
            channel.topic: channel.type for channel in channels if channel.topic not in self._types.problems
        }
        self.start, self.end = self._span()

    def __enter__(self) -> "Bag":
        """The bag, open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bag."""
        self.close()

    def messages(
        self, topics: Collection[str], start: float | None = None, end: float | None = None
    ) -> Iterator[RecordedMessage]:
        """The messages of some topics in order of recording; broken ones are warned of and left out.

        Args:
            topics: Which; those that the bag lacks are passed over.
            start: Seconds of the first recording that is wanted.
            end: Seconds of the last recording that is wanted.
        """
        broken: dict[str, int] = {}
        for stored in self._stored(topics, start, end):
            try:
                recorded = self._read(stored)
            except RecordingError as error:
                broken[stored.topic] = broken.get(stored.topic, 0) + 1
                self._warn_of_broken(stored, broken[stored.topic], error)
                continue
            yield recorded

    def arrivals(self, topics: Collection[str]) -> Iterator[tuple[str, float]]:
        """Topic and time of recording in seconds of each message, in this order; nothing is deserialised."""
        return ((stored.topic, stored.received_ns * 1e-9) for stored in self._stored(topics, None, None))

    def warn(self, text: str, about: str = "") -> None:
        """Add a sentence to the warnings, in the place of the one before that was `about` the same."""
        about = about or text
        if about in self._lines:
            self.warnings[self._lines[about]] = text
            return
        self._lines[about] = len(self.warnings)
        self.warnings.append(text)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()
        self._files = []
        if self._unpacked is not None:
            self._unpacked.cleanup()
            self._unpacked = None

    def _open_files(self, paths: list[Path]) -> None:
        problems = []
        for path in paths:
            try:
                self._files.append(open_storage(path, self._folder_of_unpacked, self.warn))
            except RecordingError as error:
                problems.append(str(error))
        if not self._files:
            raise RecordingError(f"{self.path} is no bag that can be read: {' '.join(problems)}")
        self._files.sort(key=lambda file: file.start_ns)
        for problem in problems:
            self.warn(problem)

    def _folder_of_unpacked(self) -> Path:
        if self._unpacked is None:
            self._unpacked = tempfile.TemporaryDirectory(prefix="dvla_bag_")
        return Path(self._unpacked.name)

    def _channels(self) -> list[Channel]:
        """One channel of each topic; what cannot be read is warned of."""
        found: dict[str, Channel] = {}
        for channel in (channel for file in self._files for channel in file.channels):
            if channel.serialization != "cdr":
                self.warn(f"{channel.topic} is left out: it is serialised as '{channel.serialization}', not as cdr.")
                continue
            first = found.setdefault(channel.topic, channel)
            if first.type != channel.type:
                self.warn(f"{channel.topic} has two types; {channel.type} is left out, {first.type} is kept.")
            elif not first.definition and channel.definition:
                found[channel.topic] = channel
        return list(found.values())

    def _span(self) -> tuple[float, float]:
        times = [(file.start_ns, file.end_ns) for file in self._files if file.start_ns <= file.end_ns]
        if not times:
            self.warn("The bag is empty: no message was recorded.")
            return 0.0, 0.0
        return min(start for start, _ in times) * 1e-9, max(end for _, end in times) * 1e-9

    def _stored(self, topics: Collection[str], start: float | None, end: float | None) -> Iterator[Stored]:
        wanted = {topic: self.topics[topic] for topic in topics if topic in self.topics}
        first = FIRST_NS if start is None else round(start * 1e9)
        last = LAST_NS if end is None else round(end * 1e9)
        parts = [
            (max(file.start_ns, first), partial(file.messages, wanted, first, last))
            for file in self._files
            if file.start_ns <= last and file.end_ns >= first
        ]
        return in_order(parts)

    def _read(self, stored: Stored) -> RecordedMessage:
        data = _plain(stored.data)
        kind = self.topics[stored.topic]
        return RecordedMessage(stored.topic, kind, stored.received_ns, data, self._types.read(data, kind))

    def _warn_of_broken(self, stored: Stored, count: int, error: RecordingError) -> None:
        many = "1 message is" if count == 1 else f"{count} messages are"
        when = f"{stored.received_ns * 1e-9 - self.start:.3f} s after the start"
        self.warn(f"{stored.topic}: {many} left out, the last one {when}: {error}.", about=f"broken {stored.topic}")


def _plain(data: bytes) -> bytes:
    """A message without rosbag2's compression of single messages."""
    if not data.startswith(ZSTD_MAGIC):  # serialised messages begin with 0
        return data
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except zstandard.ZstdError as error:
        raise RecordingError(f"it cannot be decompressed: {error}") from None
