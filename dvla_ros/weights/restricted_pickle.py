"""Arrays in a pickle file, read without calling anything the file names.

DexVLA keeps its statistics as `dataset_stats.pkl`. A pickle names functions to call; here the few that NumPy's arrays
need are replaced by methods that check what they are given, and every other name is refused. NumPy's own functions are
not called either: they can be made to touch memory that is not theirs.
"""

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.checkpoint_folder import file_in

SIZE_LIMIT = 16_000_000  # bytes; published statistics have a few thousand
_NUMBERS = re.compile(r"[<>=|]?([fiu][1248]|b1)")


def read_array_pickle(path: Path, size_limit: int = SIZE_LIMIT) -> dict[str, np.ndarray]:
    """Arrays by name; single numbers become arrays without dimensions.

    Args:
        path: A pickle of a dictionary with arrays of numbers, of any protocol.
        size_limit: Longer files are refused, bytes.

    Raises:
        CheckpointError: The file is missing, too long, broken or a link out of its folder, or it names or holds
            something else than NumPy's arrays of numbers.
    """
    with file_in(path.parent, path.name).open("rb") as file:
        data = file.read(size_limit + 1)
    if len(data) > size_limit:
        raise CheckpointError(f"{path} is longer than {size_limit} bytes; statistics are much shorter.")
    try:
        _check_lengths(data)
        values = _ArrayUnpickler(io.BytesIO(data)).load()
        if not isinstance(values, dict):
            raise pickle.UnpicklingError(f"it holds {type(values).__name__}")
        return {_name(key): _array(key, value) for key, value in values.items()}
    except Exception as error:  # whatever a broken or hostile file makes the reader do
        raise CheckpointError(f"{path} was refused: {error}. Only arrays of numbers by name are read.") from error


def _check_lengths(data: bytes) -> None:
    """Nothing in the file claims more memory than the file is long."""
    for opcode, argument, _ in pickletools.genops(data):  # itself refuses contents that end behind the file
        if opcode.name in ("PUT", "LONG_BINPUT") and isinstance(argument, int) and argument > len(data):
            raise pickle.UnpicklingError(f"it keeps {argument} objects in mind")


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise pickle.UnpicklingError(f"it has the key {key!r}")
    return key


def _array(key: str, value: object) -> np.ndarray:
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, np.ndarray):
        return value
    if type(value) not in (int, float):
        raise pickle.UnpicklingError(f"{key!r} is {type(value).__name__}")
    return np.array(value, dtype=np.float64)


class _Dtype:
    """Stands for `numpy.dtype` of plain numbers."""

    def __init__(self, kind: str, *_: object) -> None:
        if not isinstance(kind, str) or not _NUMBERS.fullmatch(kind):
            raise pickle.UnpicklingError(f"an array has the type {kind!r}; only numbers are read")
        self.numpy = np.dtype(kind)

    def __setstate__(self, state: tuple) -> None:
        """`(version, byte order, subtype, names, fields, …)`; the last three are None for numbers."""
        _, order, *structure = state[:5]
        if order not in ("<", ">", "|", "=") or structure != [None, None, None]:
            raise pickle.UnpicklingError(f"an array has the structure {state!r}; only numbers are read")
        self.numpy = self.numpy.newbyteorder(order)

    def array(self, data: object, shape: object, column_major: object) -> np.ndarray:
        """Numbers from bytes, in this machine's byte order."""
        if not isinstance(data, bytes | bytearray) or not isinstance(shape, tuple):
            raise pickle.UnpicklingError("an array's contents are not bytes")
        if not all(type(length) is int and length >= 0 for length in shape) or len(shape) > 8:
            raise pickle.UnpicklingError(f"an array has the shape {shape!r}")
        if math.prod(shape) * self.numpy.itemsize != len(data):
            raise pickle.UnpicklingError(f"an array {shape} of {self.numpy} cannot have {len(data)} bytes")
        if self.numpy.kind == "b" and any(byte > 1 for byte in data):
            raise pickle.UnpicklingError("an array of truth values holds other numbers")
        values = np.frombuffer(data, self.numpy).reshape(shape, order="F" if column_major else "C")
        return values.astype(self.numpy.newbyteorder("="))


class _Array:
    """Stands for `numpy.ndarray`; it is made empty and gets its contents afterwards."""

    _values: np.ndarray | None = None

    @property
    def values(self) -> np.ndarray:
        """The contents."""
        if self._values is None:
            raise pickle.UnpicklingError("an array has no contents")
        return self._values

    def __setstate__(self, state: tuple) -> None:
        """`(version, shape, dtype, column-major, bytes)`."""
        _, shape, dtype, column_major, data = state
        self._values = _checked(dtype).array(data, shape, column_major)


def _checked(dtype: object) -> _Dtype:
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("an array has no type of numbers")
    return dtype


class _ArrayUnpickler(pickle.Unpickler):
    """Knows the names by which NumPy's versions rebuild arrays, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a global of the file."""
        stand_ins: dict[str, Callable[..., object]] = {
            "numpy.dtype": _Dtype,
            "numpy.ndarray": _Array,
            "_codecs.encode": self._encode,
            "collections.OrderedDict": dict,
        }
        for core in ("numpy.core", "numpy._core"):  # before NumPy 2, and since
            stand_ins[f"{core}.multiarray._reconstruct"] = self._reconstruct
            stand_ins[f"{core}.multiarray.scalar"] = self._scalar
            stand_ins[f"{core}.numeric._frombuffer"] = self._from_buffer
        if f"{module}.{name}" not in stand_ins:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which was not run")
        return stand_ins[f"{module}.{name}"]

    def persistent_load(self, identifier: object) -> object:
        """Refuse objects that are somewhere else."""
        raise pickle.UnpicklingError(f"it asks for the outside object {identifier!r}")

    def _reconstruct(self, *_: object) -> _Array:
        return _Array()

    def _scalar(self, dtype: object, data: object) -> float:
        return _checked(dtype).array(data, (), False).item()

    def _from_buffer(self, data: object, dtype: object, shape: object, order: object) -> np.ndarray:
        return _checked(dtype).array(data, shape, order == "F")

    def _encode(self, text: object, coding: object) -> bytes:
        """Bytes in the pickle protocols that have only text."""
        if not isinstance(text, str) or coding != "latin1":
            raise pickle.UnpicklingError(f"it asks to encode {type(text).__name__} as {coding!r}")
        return text.encode("latin-1")
