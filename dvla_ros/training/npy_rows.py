"""Rows of a `.npy` file, read by position: what is read costs memory, what is not read costs none.

A memory-mapped file would do the same by its address space, but every page that was ever touched counts as memory of
the process until the system takes it back: a run would seem to grow over an epoch, and containers have been stopped
for it.
"""

import os
from math import prod
from pathlib import Path

import numpy as np

from dvla_ros.errors import RecordingError

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_REPAIR = "Copy the data set again, or remove this shard's folder."


class NpyRows:
    """One array whose first axis is read in parts, by way of a descriptor that the caller keeps.

    Attributes:
        path: The file.
        shape: Of the whole array.
        dtype: Of its numbers.

    Raises:
        RecordingError: The file is missing, no array of numbers in C order, or shorter or longer than it says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                if version not in _HEADERS:
                    raise ValueError(f"version {version} of the format")
                self.shape, fortran, self.dtype = _HEADERS[version](file)
                self._begin = file.tell()
                size = os.fstat(file.fileno()).st_size - self._begin
        except OSError as error:
            raise RecordingError(f"{path} cannot be read: {error.strerror}. {_REPAIR}") from None
        except ValueError as error:
            raise RecordingError(f"{path} is not a readable .npy file: {error}. {_REPAIR}") from None
        if fortran or not self.shape or self.dtype.hasobject:
            raise RecordingError(
                f"{path} must hold rows of numbers in C order, got {self.dtype} {self.shape}"
                f"{' in Fortran order' if fortran else ''}. {_REPAIR}"
            )
        self._row_bytes = prod(self.shape[1:]) * self.dtype.itemsize
        if size != self.shape[0] * self._row_bytes:
            raise RecordingError(
                f"{path} is damaged: its header promises {self.shape[0] * self._row_bytes} bytes of {self.shape}, "
                f"{size} are there. {_REPAIR}"
            )

    def __len__(self) -> int:
        return int(self.shape[0])

    def read(self, first: int, into: np.ndarray, descriptor: int) -> None:
        """Read consecutive rows.

        Args:
            first: The first of them.
            into: `[n, ...]` of this dtype, in C order; is filled.
            descriptor: Of the open file; its position is neither used nor changed.

        Raises:
            RecordingError: The file ends too early: it has been cut since it was opened.
        """
        if not into.nbytes:
            return
        wanted = into.reshape(-1).view(np.uint8).data
        place = self._begin + first * self._row_bytes
        while wanted.nbytes:
            try:
                count = os.preadv(descriptor, [wanted], place)
            except OSError as error:
                raise RecordingError(f"{self.path} cannot be read: {error.strerror}. {_REPAIR}") from None
            if count == 0:
                raise RecordingError(f"{self.path} ended while it was read: it was cut or replaced. {_REPAIR}")
            wanted, place = wanted[count:], place + count
