"""What a safetensors file holds and where, from its header alone.

The format: eight bytes with the header's length (little-endian), the header as JSON, the tensors' bytes without gaps.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.checkpoint_folder import json_object

LENGTH_BYTES = 8
HEADER_LIMIT = 100_000_000  # bytes; the format's own limit
METADATA = "__metadata__"
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_LARGEST = 2**63 - 1
_MOST_DIMENSIONS = 64


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file.

    Attributes:
        path: The file.
        dtype: Type of its numbers.
        shape: Its shape.
        start: Its first byte in the file.
        nbytes: Its length in bytes.
    """

    path: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    nbytes: int


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Every tensor of a safetensors file by name; the tensors themselves are not read.

    Raises:
        CheckpointError: The file cannot be read, is truncated, or its header contradicts itself or the file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = json_object(_header_bytes(file, size, path), f"The header of {path}")
            data_start = file.tell()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    if not isinstance(header.pop(METADATA, {}), dict):
        raise CheckpointError(f"{path}: {METADATA} is not a JSON object.")
    tensors = {name: _stored(path, name, entry, data_start) for name, entry in header.items()}
    _check_layout(path, tensors, data_start, size)
    return tensors


def _header_bytes(file: BinaryIO, size: int, path: Path) -> bytes:
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if size < LENGTH_BYTES:
        raise CheckpointError(f"{path} is truncated: {size} bytes cannot be a safetensors file. Copy it again.")
    if length > HEADER_LIMIT:
        raise CheckpointError(
            f"{path} claims a header of {length} bytes, more than {HEADER_LIMIT}: it is not a safetensors file."
        )
    if length > size - LENGTH_BYTES:
        raise CheckpointError(
            f"{path} is truncated: its header has {length} bytes, the whole file {size}. Copy it again."
        )
    return file.read(length)


def _stored(path: Path, name: str, entry: Any, data_start: int) -> StoredTensor:
    where = f"{path}: tensor {name!r}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{where} needs dtype, shape and data_offsets, got {_short(entry)}.")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in DTYPES:
        raise CheckpointError(f"{where} has the type {_short(kind)}; this version reads {', '.join(DTYPES)}.")
    if not _are_counts(shape) or len(shape) > _MOST_DIMENSIONS:
        raise CheckpointError(f"{where} has the shape {_short(shape)}; a list of sizes from 0 is needed.")
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise CheckpointError(f"{where} has the offsets {_short(offsets)}; [begin, end] from 0 is needed.")
    dtype, (begin, end) = DTYPES[kind], offsets
    if math.prod(max(1, length) for length in shape) * dtype.itemsize > _LARGEST:
        raise CheckpointError(f"{where} has the shape {_short(shape)}, too large for any memory.")
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise CheckpointError(
            f"{where} has {end - begin} bytes, but {kind} {shape} needs {math.prod(shape) * dtype.itemsize}."
        )
    return StoredTensor(path, dtype, tuple(shape), data_start + begin, end - begin)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value <= _LARGEST for value in values)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _check_layout(path: Path, tensors: dict[str, StoredTensor], data_start: int, size: int) -> None:
    """The tensors' bytes follow each other without gap or overlap, up to the end of the file."""
    position = data_start
    for name, stored in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].nbytes)):
        if stored.start != position:
            wrong = "overlaps the one before it" if stored.start < position else "leaves a gap before it"
            raise CheckpointError(f"{path}: tensor {name!r} {wrong}; the file is broken, copy it again.")
        position += stored.nbytes
    if position > size:
        raise CheckpointError(
            f"{path} is truncated: its tensors end at byte {position}, the file at {size}. Copy it again."
        )
    if position < size:
        raise CheckpointError(f"{path} has {size - position} bytes behind its last tensor; copy it again.")
