"""Messages between two processes through a pipe: a JSON header, then the bytes of its arrays.

No pickle: what arrives is numbers and text, whoever wrote it. Both ends import this file; beside the standard library
it needs NumPy only.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from dvla_ros.errors import SimulationError

_MAGIC = b"dvla"
_PREFIX = struct.Struct(">4sI")
_LONGEST_HEADER = 2**20
_LARGEST_ARRAY = 2**28
_TYPES = ("uint8", "float32", "float64")


@dataclass(frozen=True)
class Message:
    """One question or answer.

    Attributes:
        kind: What it is.
        values: Whatever JSON holds, by name.
        arrays: Of uint8, float32 or float64, by name.
    """

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one message and flush.

    Raises:
        SimulationError: An array is of another type.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
    for name, array in arrays.items():
        if array.dtype.name not in _TYPES:
            raise SimulationError(f"A message holds arrays of {', '.join(_TYPES)}; {name} is of {array.dtype.name}.")
    forms = [[name, array.dtype.name, list(array.shape)] for name, array in arrays.items()]
    header = json.dumps({"kind": message.kind, "values": dict(message.values), "arrays": forms}).encode()
    stream.write(_PREFIX.pack(_MAGIC, len(header)) + header)
    for array in arrays.values():
        stream.write(array.tobytes())
    stream.flush()


def read_message(stream: BinaryIO) -> Message | None:
    """Read one message; None where the stream has ended before it.

    Raises:
        SimulationError: It ends within the message, or what it holds is none.
    """
    prefix = stream.read(_PREFIX.size)
    if not prefix:
        return None
    magic, length = _PREFIX.unpack(prefix) if len(prefix) == _PREFIX.size else (prefix, 0)
    if magic != _MAGIC or length > _LONGEST_HEADER:
        raise SimulationError(f"The pipe holds something that is no message: {prefix!r}.")
    try:
        header = json.loads(_exactly(stream, length))
        arrays = {name: _array(stream, kind, tuple(shape)) for name, kind, shape in header["arrays"]}
        return Message(header["kind"], header["values"], arrays)
    except (ValueError, KeyError, TypeError) as error:
        raise SimulationError(f"The pipe holds a message that cannot be read: {error!r}.") from error


def _array(stream: BinaryIO, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    if kind not in _TYPES:
        raise ValueError(f"an array of {kind}")
    size = np.dtype(kind).itemsize * int(np.prod(shape, dtype=np.int64))
    if not 0 <= size <= _LARGEST_ARRAY:
        raise ValueError(f"an array of {size} bytes")
    return np.frombuffer(_exactly(stream, size), dtype=kind).reshape(shape)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) != size:
        raise SimulationError(f"The pipe ended within a message, {size - len(found)} bytes before its end.")
    return found
