"""How much a camera's picture changes from one to the next, cheaply, while a recording is read."""

import cv2
import numpy as np

_SIZE = (64, 48)
"""Width and height at which pictures are compared; noise of single pixels is averaged away."""

_LONGEST_S = 0.5
"""Pictures further apart are not compared."""


class PictureChange:
    """Collects the change between consecutive pictures of one camera; a picture costs about 0.1 ms.

    Args:
        camera: Name of the camera.
    """

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self._last: tuple[float, np.ndarray] | None = None
        self._rows: list[tuple[float, float, float]] = []

    def add(self, stamp: float, image: np.ndarray) -> None:
        """The next picture uint8 `[H, W, 3]` or `[H, W]`, taken at `stamp` seconds; an older one is passed over."""
        small = cv2.resize(image, _SIZE, interpolation=cv2.INTER_AREA)
        grey = (small.mean(axis=2) if small.ndim == 3 else small).astype(np.float32)
        if self._last is not None and stamp <= self._last[0]:
            return
        if self._last is not None and stamp - self._last[0] <= _LONGEST_S:
            self._rows.append((self._last[0], stamp, float(np.abs(grey - self._last[1]).mean())))
        self._last = (stamp, grey)

    @property
    def intervals(self) -> np.ndarray:
        """float64 `[n, 3]`: stamps of two pictures in seconds, mean absolute difference of grey levels."""
        return np.array(self._rows, dtype=float).reshape(-1, 3)
