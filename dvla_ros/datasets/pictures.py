"""Pictures of an episode that need not fit into memory."""

import tempfile
from collections.abc import Sequence

import cv2
import numpy as np


class Pictures:
    """Read access to the pictures of consecutive frames.

    Args:
        stored: uint8 `[N, C, h, w, 3]` RGB, usually memory-mapped.
        rows: Which of them, in which order; None for all.
    """

    def __init__(self, stored: np.ndarray, rows: Sequence[int] | np.ndarray | None = None) -> None:
        self._stored = stored
        self._rows = np.arange(len(stored)) if rows is None else np.asarray(rows, np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> np.ndarray:
        """Of one frame, uint8 `[C, h, w, 3]`."""
        picture: np.ndarray = np.asarray(self._stored[self._rows[index]])
        return picture

    def select(self, rows: Sequence[int] | np.ndarray) -> "Pictures":
        """Those of some frames, without copying."""
        return Pictures(self._stored, self._rows[np.asarray(rows, np.int64)])

    @property
    def cameras(self) -> int:
        """C; 0 where the pictures were not read."""
        return int(self._stored.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return int(self._stored.shape[3]), int(self._stored.shape[2])


def no_pictures(frames: int) -> Pictures:
    """In place of pictures that nobody asked for."""
    return Pictures(np.zeros((frames, 0, 1, 1, 3), np.uint8))


class PictureSpool:
    """Collects pictures in a nameless temporary file, which goes away with the last reader."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()
        self._shape: tuple[int, ...] = (0, 1, 1, 3)
        self._count = 0

    def append(self, pictures: np.ndarray) -> None:
        """Add one frame, uint8 `[C, h, w, 3]`; all of one shape."""
        self._shape = pictures.shape
        self._file.write(np.ascontiguousarray(pictures).tobytes())
        self._count += 1

    def finish(self) -> Pictures:
        """Everything that was added."""
        if not self._count or not self._shape[0]:
            return no_pictures(self._count)
        self._file.flush()
        return Pictures(np.memmap(self._file, np.uint8, "r", shape=(self._count, *self._shape)))


def resized(picture: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """RGB uint8 `[H, W, 3]` at another size (width, height), averaged as the small policies do; None leaves it."""
    if size is None or picture.shape[1::-1] == size:
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
