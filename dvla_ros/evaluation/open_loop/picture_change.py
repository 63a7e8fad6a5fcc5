"""How much a camera's picture changes from one to the next, cheaply, while a recording is read."""

import cv2
import numpy as np

_SIZE = (64, 48)
"""Width and height at which pictures are compared; noise of single pixels is averaged away."""

_TWICE = 2
"""Pixels are left out first, down to so many times that size, which is cheaper."""

_LONGEST_S = 0.5
"""Pictures further apart are not compared."""


class PictureChange:
    """Collects the change between consecutive pictures of one camera.

    Args:
        camera: Name of the camera.
    """

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self._last: tuple[float, np.ndarray] | None = None
        self._rows: list[tuple[float, float, float]] = []

    def add(self, stamp: float, image: np.ndarray) -> None:
        """The next picture uint8 `[H, W, 3]` or `[H, W]`, taken at `stamp` seconds; an older one is passed over."""
        if self._last is not None and stamp <= self._last[0]:
            return
        grey = _small(image)
        if self._last is not None and stamp - self._last[0] <= _LONGEST_S:
            self._rows.append((self._last[0], stamp, float(np.abs(grey - self._last[1]).mean())))
        self._last = (stamp, grey)

    @property
    def intervals(self) -> np.ndarray:
        """float64 `[n, 3]`: stamps of two pictures in seconds, mean absolute difference of grey levels."""
        return np.array(self._rows, dtype=float).reshape(-1, 3)


def _small(image: np.ndarray) -> np.ndarray:
    """Grey levels float32 `[48, 64]` of a picture of any size."""
    width, height = _SIZE
    step = max(1, min(image.shape[0] // (_TWICE * height), image.shape[1] // (_TWICE * width)))
    few = np.ascontiguousarray(image[step // 2 :: step, step // 2 :: step])
    small = np.asarray(cv2.resize(few, _SIZE, interpolation=cv2.INTER_AREA), np.float32)
    return small.mean(axis=2) if small.ndim == 3 else small
