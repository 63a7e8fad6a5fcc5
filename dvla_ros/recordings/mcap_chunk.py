"""The contents of an mcap chunk: unpacked, checked, and taken apart into records.

Format: https://mcap.dev/spec. What a file that was cut off still holds of its last chunk is kept.
"""

import struct
import zlib
from collections.abc import Iterator

import lz4.frame
import zstandard
from mcap.records import Chunk

from dvla_ros.errors import RecordingError

FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F
"""Opcodes of records."""

RECORD_HEAD = struct.Struct("<BQ")
_MESSAGE_HEAD = struct.Struct("<HIQQ")
MESSAGE_HEAD_BYTES = _MESSAGE_HEAD.size


def unpacked(chunk: Chunk) -> bytes:
    """The records of a chunk.

    Raises:
        RecordingError: It is damaged: it cannot be decompressed, or its checksum is another.
    """
    try:
        data = _decompressed(chunk)
    except (zstandard.ZstdError, RuntimeError, EOFError, ValueError) as error:
        raise RecordingError(f"it cannot be decompressed: {error}") from None
    if len(data) != chunk.uncompressed_size:
        raise RecordingError(f"it has {len(data)} of {chunk.uncompressed_size} bytes")
    if chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc:
        raise RecordingError("its checksum is wrong")
    return data


def beginning(chunk: Chunk) -> bytes:
    """What can be had of a chunk that was cut off."""
    try:
        if chunk.compression == "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(chunk.data)
        if chunk.compression == "lz4":
            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(chunk.data))
    except (zstandard.ZstdError, RuntimeError, EOFError):
        return b""
    return chunk.data if not chunk.compression else b""


def records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Opcode, first byte and end of each whole record in `data`."""
    position = 0
    while position + RECORD_HEAD.size <= len(data):
        opcode, length = RECORD_HEAD.unpack_from(data, position)
        start = position + RECORD_HEAD.size
        position = start + length
        if position > len(data):
            return
        yield opcode, start, position


def message_head(data: bytes, start: int) -> tuple[int, int]:
    """Channel and time of recording (ns) of the message record that begins at `start`."""
    channel, _, log_time, _ = _MESSAGE_HEAD.unpack_from(data, start)
    return channel, log_time


def _decompressed(chunk: Chunk) -> bytes:
    if not chunk.compression:
        return chunk.data
    if chunk.compression == "zstd":
        return zstandard.ZstdDecompressor().decompress(chunk.data, max_output_size=chunk.uncompressed_size)
    if chunk.compression == "lz4":
        return bytes(lz4.frame.decompress(chunk.data))
    raise ValueError(f"compression '{chunk.compression}' is not known")
