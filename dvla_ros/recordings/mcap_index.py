"""What an mcap file holds and where: from its own index, or, where that was never written, from a walk through it.

A recorder that was killed leaves a file without an index, and a file may have no chunks that an index could name. The
walk goes from record to record, up to the end or the place where the file is cut off.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.reader import SeekingReader
from mcap.records import Channel as ChannelRecord
from mcap.records import Chunk, ChunkIndex, Schema

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.mcap_chunk import (
    CHANNEL,
    CHUNK,
    DATA_END,
    FOOTER,
    MESSAGE,
    MESSAGE_HEAD_BYTES,
    RECORD_HEAD,
    SCHEMA,
    beginning,
    message_head,
    records,
    unpacked,
)
from dvla_ros.recordings.storage import FIRST_NS, LAST_NS, Channel

MAGIC = b"\x89MCAP0\r\n"
_LONGEST_STRETCH = 2**20
"""Bytes of messages outside of chunks that are read at once."""

_BROKEN = (McapError, struct.error, ValueError, KeyError, IndexError, OSError, MemoryError, StopIteration)


@dataclass(frozen=True)
class Stretch:
    """A part of the file that is read at once: a chunk, or some messages outside of chunks.

    Attributes:
        offset: Where its first record begins.
        length: Bytes of it; 0: a chunk that is whole, the file says how long it is.
        chunk: Whether it is a chunk.
        start_ns: Earliest recording.
        end_ns: Latest recording.
        channels: Ids of the channels that have messages in it.
    """

    offset: int
    length: int
    chunk: bool
    start_ns: int
    end_ns: int
    channels: frozenset[int]


@dataclass
class McapIndex:
    """What a file holds.

    Attributes:
        channels: By id.
        stretches: In the order of the file.
        damage: Where the file is cut off, and which chunks are left out; empty: it is whole.
    """

    channels: dict[int, Channel] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)
    damage: str = ""

    @property
    def start_ns(self) -> int:
        """Time of the first recording."""
        return min((stretch.start_ns for stretch in self.stretches), default=LAST_NS)

    @property
    def end_ns(self) -> int:
        """Time of the last recording."""
        return max((stretch.end_ns for stretch in self.stretches), default=FIRST_NS)


def index_of(file: BinaryIO) -> McapIndex:
    """The index of an open mcap file.

    Raises:
        RecordingError: It does not begin as an mcap file does.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise RecordingError("it does not begin as an mcap file does")
    return _own_index(file) or _Walk(file).index


def read_chunk(file: BinaryIO, stretch: Stretch) -> bytes:
    """The records of a stretch.

    Raises:
        RecordingError: It is damaged.
    """
    if not stretch.chunk:
        file.seek(stretch.offset)
        return file.read(stretch.length)
    try:
        chunk = _chunk_at(file, stretch.offset)
    except _BROKEN as error:
        raise RecordingError(f"it is no chunk: {error}") from None
    return beginning(chunk) if stretch.length else unpacked(chunk)


def _chunk_at(file: BinaryIO, offset: int) -> Chunk:
    file.seek(offset)
    if file.read(RECORD_HEAD.size)[:1] != bytes([CHUNK]):
        raise ValueError(f"another record is at {offset}")
    return Chunk.read(ReadDataStream(file))


def _own_index(file: BinaryIO) -> McapIndex | None:
    """The index at the end of the file; None when there is none that can be used."""
    try:
        file.seek(-len(MAGIC), 2)
        if file.read() != MAGIC:
            return None
        file.seek(0)
        summary = SeekingReader(file).get_summary()
    except _BROKEN:
        return None
    if summary is None or not summary.channels:
        return None
    indexed = bool(summary.chunk_indexes) or (summary.statistics is not None and summary.statistics.message_count == 0)
    channels = {record.id: _channel(record, summary.schemas) for record in summary.channels.values()}
    stretches = [_stretch(chunk, channels) for chunk in summary.chunk_indexes]
    return McapIndex(channels, stretches) if indexed else None


def _stretch(chunk: ChunkIndex, channels: Iterable[int]) -> Stretch:
    # Without message indexes a chunk may hold anything.
    held = frozenset(chunk.message_index_offsets) or frozenset(channels)
    return Stretch(chunk.chunk_start_offset, 0, True, chunk.message_start_time, chunk.message_end_time, held)


def _channel(record: ChannelRecord, schemas: dict[int, Schema]) -> Channel:
    schema = schemas.get(record.schema_id)
    if schema is None:
        return Channel(record.topic, "", record.message_encoding)
    text = schema.data.decode("utf-8", "replace")
    return Channel(record.topic, schema.name, record.message_encoding, text, schema.encoding)


class _Walk:
    """Goes through a file from its beginning to where it ends or breaks off."""

    def __init__(self, file: BinaryIO) -> None:
        self.index = McapIndex()
        self._file, self._schemas = file, dict[int, Schema]()
        self._loose: list[tuple[int, int, int, int]] = []  # offset, end, channel, time of messages outside of chunks
        self._damaged: list[str] = []
        self._size = file.seek(0, 2)
        cut = self._go()
        self._close_loose()
        count = len(self._damaged)
        damaged = f"{count} damaged chunk{'s' * (count > 1)} left out ({self._damaged[0]})" if count else ""
        self.index.damage = "; ".join(part for part in (cut, damaged) if part)

    def _go(self) -> str:
        """Go from record to record; where the file is cut off, in words."""
        offset = len(MAGIC)
        while offset < self._size:
            self._file.seek(offset)
            head = self._file.read(RECORD_HEAD.size)
            opcode, length = RECORD_HEAD.unpack(head) if len(head) == RECORD_HEAD.size else (0, self._size)
            if opcode in (FOOTER, DATA_END):
                return ""
            end = offset + RECORD_HEAD.size + length
            if end > self._size:
                self._salvage(offset)
                break
            self._take(opcode, offset, end)
            offset = end
        return f"it is cut off at byte {offset} of {self._size}"

    def _take(self, opcode: int, offset: int, end: int) -> None:
        """Take notice of a record; the file stands behind its head."""
        if opcode == MESSAGE:
            self._loose.append((offset, end, *message_head(self._file.read(MESSAGE_HEAD_BYTES), 0)))
            if end - self._loose[0][0] > _LONGEST_STRETCH:
                self._close_loose()
        elif opcode == CHUNK:
            self._close_loose()
            try:
                self._look_into(unpacked(Chunk.read(ReadDataStream(self._file))), offset, 0)
            except (RecordingError, *_BROKEN) as error:
                self._damaged.append(f"at byte {offset}: {error}")
        elif opcode in (SCHEMA, CHANNEL):
            self._declare(opcode, self._file.read(end - self._file.tell()))

    def _declare(self, opcode: int, data: bytes) -> None:
        stream = ReadDataStream(BytesIO(data))
        if opcode == SCHEMA:
            schema = Schema.read(stream)
            self._schemas[schema.id] = schema
        else:
            record = ChannelRecord.read(stream)
            self.index.channels[record.id] = _channel(record, self._schemas)

    def _salvage(self, offset: int) -> None:
        """Keep what there is of a last chunk that was cut off."""
        try:
            chunk = _chunk_at(self._file, offset)
        except _BROKEN:
            return
        self._look_into(beginning(chunk), offset, 1)

    def _look_into(self, data: bytes, offset: int, length: int) -> None:
        times, held = list[int](), set[int]()
        for opcode, start, end in records(data):
            if opcode in (SCHEMA, CHANNEL):
                self._declare(opcode, data[start:end])
            elif opcode == MESSAGE and end - start >= MESSAGE_HEAD_BYTES:
                channel, time = message_head(data, start)
                times.append(time)
                held.add(channel)
        if times:
            self.index.stretches.append(Stretch(offset, length, True, min(times), max(times), frozenset(held)))

    def _close_loose(self) -> None:
        if self._loose:
            times = [time for *_, time in self._loose]
            first, last = self._loose[0][0], self._loose[-1][1]
            held = frozenset(channel for _, _, channel, _ in self._loose)
            self.index.stretches.append(Stretch(first, last - first, False, min(times), max(times), held))
            self._loose = []
