"""One column of all frames, over several shards, on the disk: indexed as an array, read when it is indexed."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import EllipsisType
from typing import Any

import numpy as np

from dvla_ros.errors import ConfigurationError, RecordingError
from dvla_ros.training.npy_rows import NpyRows

Rows = int | np.integer | slice | Sequence[int] | np.ndarray
_OPEN_FILES = 64
"""So many files of one column stay open."""


class FrameColumn:
    """Arrays of several files one after the other, along their first axis.

    Indexing with a whole number, a slice or whole numbers reads these rows and gives them as a new array, as NumPy
    would; further indices (whole numbers, slices) are applied to what was read. Copies of it in forked or spawned
    processes may read at the same time, threads of one process may not.

    Attributes:
        shape: `[N, ...]` of all frames.
        dtype: Of the numbers.

    Args:
        files: In their order.

    Raises:
        ConfigurationError: Files have rows of another shape or type.
    """

    def __init__(self, files: Sequence[NpyRows]) -> None:
        first = files[0]
        for file in files:
            if (file.shape[1:], file.dtype) != (first.shape[1:], first.dtype):
                raise ConfigurationError(
                    f"{file.path} has rows of {file.dtype} {file.shape[1:]}, {first.path} of {first.dtype} "
                    f"{first.shape[1:]}: make both sets with the same options."
                )
        self._files = tuple(files)
        self._starts = np.cumsum([0, *(len(file) for file in files)])
        self._open = _OpenFiles()
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *first.shape[1:])
        self.dtype = first.dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Size on the disk."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __getitem__(self, index: Rows | EllipsisType | tuple[Any, ...]) -> np.ndarray:
        if isinstance(index, tuple):
            return self._part(index)
        if index is ...:
            index = slice(None)
        if isinstance(index, int | np.integer):
            return self._read(self._whole([index]))[0]
        if isinstance(index, slice):
            return self._read(np.arange(*index.indices(len(self))))
        return self._read(self._whole(index))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        everything = self[:]
        return everything if dtype is None else everything.astype(dtype, copy=False)

    def _part(self, index: tuple[Any, ...]) -> np.ndarray:
        rest = index[1:]
        if any(not isinstance(part, int | np.integer | slice) for part in rest):
            raise IndexError(f"After the rows only whole numbers and slices are taken, got {rest}.")
        rows = self[index[0]]
        one = isinstance(index[0], int | np.integer)
        within = rest if one else (slice(None), *rest)
        return np.asarray(rows[within])

    def _whole(self, rows: Any) -> np.ndarray:
        """Rows counted from 0, int64 `[n]`."""
        wanted = np.asarray(rows)
        if wanted.size == 0:
            wanted = wanted.astype(np.int64)
        if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
            raise IndexError(f"Rows are a list of whole numbers, got {wanted.dtype} {wanted.shape}.")
        wanted = wanted.astype(np.int64)
        if wanted.size and not (-len(self) <= wanted.min() and wanted.max() < len(self)):
            raise IndexError(f"There are rows 0 to {len(self) - 1}, got {wanted.min()} to {wanted.max()}.")
        return np.where(wanted < 0, wanted + len(self), wanted)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        # Rows that follow each other in one file are read at once.
        breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(shards) != 0)) + 1
        edges = [0, *breaks.tolist(), len(rows)] if len(rows) else []
        for begin, end in pairwise(edges):
            shard = int(shards[begin])
            file = self._files[shard]
            first = int(rows[begin] - self._starts[shard])
            file.read(first, found[begin:end], self._open.descriptor(file.path))
        return found


class _OpenFiles:
    """Descriptors of the files used last; a copy in another process opens its own."""

    def __init__(self) -> None:
        self._descriptors: OrderedDict[Path, int] = OrderedDict()

    def descriptor(self, path: Path) -> int:
        """Of a file, opened where it is not."""
        if path not in self._descriptors:
            if len(self._descriptors) >= _OPEN_FILES:
                os.close(self._descriptors.popitem(last=False)[1])
            self._descriptors[path] = _opened(path)
        self._descriptors.move_to_end(path)
        return self._descriptors[path]

    def __reduce__(self) -> tuple[type["_OpenFiles"], tuple[()]]:
        return _OpenFiles, ()

    def __del__(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be read any more: {error.strerror}. Leave data sets in use alone."
        ) from None
