"""One mcap file of a bag."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.mcap_chunk import MESSAGE, MESSAGE_HEAD_BYTES, message_head, records
from dvla_ros.recordings.mcap_index import Stretch, index_of, read_chunk
from dvla_ros.recordings.merging import in_order
from dvla_ros.recordings.storage import Channel, Stored, Warn

_AHEAD_BYTES = 32 * 2**20


class McapFile:
    """Reads chunk after chunk in order of recording; a damaged chunk is warned of and left out.

    Args:
        path: The file.
        warn: Told what is wrong with it.

    Raises:
        RecordingError: It is no mcap file.
    """

    def __init__(self, path: Path, warn: Warn) -> None:
        self.path, self._warn = path, warn
        self._file = path.open("rb")
        try:
            self._index = index_of(self._file)
        except BaseException:
            self._file.close()
            raise
        self.channels: tuple[Channel, ...] = tuple(self._index.channels.values())
        self.start_ns, self.end_ns = self._index.start_ns, self._index.end_ns
        if self._index.damage:
            warn(f"{path.name}: {self._index.damage}; the rest is kept.")

    def messages(self, topics: Mapping[str, str], start_ns: int, end_ns: int) -> Iterator[Stored]:
        """The messages of some topics (to their types), in order of recording, both times included."""
        channels = self._index.channels.items()
        wanted = {key: channel.topic for key, channel in channels if topics.get(channel.topic) == channel.type}
        parts = [
            (stretch.start_ns, partial(self._read, stretch, wanted, start_ns, end_ns))
            for stretch in self._index.stretches
            if stretch.start_ns <= end_ns and stretch.end_ns >= start_ns and not stretch.channels.isdisjoint(wanted)
        ]
        return in_order(parts)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _fetch_ahead(self, offset: int) -> None:
        """Let the system read on while this stretch is worked on: a disk is slower than what is done with it."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.fileno(), offset, _AHEAD_BYTES, os.POSIX_FADV_WILLNEED)

    def _read(self, stretch: Stretch, wanted: dict[int, str], start_ns: int, end_ns: int) -> Iterator[Stored]:
        self._fetch_ahead(stretch.offset)
        try:
            data = read_chunk(self._file, stretch)
        except RecordingError as error:
            self._warn(f"{self.path.name}: the chunk at byte {stretch.offset} is left out: {error}.")
            return
        found = [
            Stored(time, wanted[channel], data[start + MESSAGE_HEAD_BYTES : end])
            for opcode, start, end in records(data)
            if opcode == MESSAGE and end - start >= MESSAGE_HEAD_BYTES
            for channel, time in (message_head(data, start),)
            if channel in wanted and start_ns <= time <= end_ns
        ]
        yield from sorted(found, key=lambda message: message.received_ns)
