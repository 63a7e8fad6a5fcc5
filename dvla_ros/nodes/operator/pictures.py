"""Pictures of the cameras as JPEG, made no oftener than anybody may want them."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dvla_ros.control.camera_image import decode_camera
from dvla_ros.errors import ObservationError

LOOKED_AT_S = 3.0
"""A camera that nobody has asked for in this time is not listened to."""
_QUALITY = 75


@dataclass(frozen=True)
class Picture:
    """A JPEG image, and which one it is: numbers grow."""

    number: int
    jpeg: bytes


class CameraPictures:
    """The newest picture of one camera. Any thread may call.

    Args:
        camera: Its name, for messages.
        decode: Makes a camera message of what `store` gets.
        hz: A picture is made at most so often.
        width: Larger ones are made smaller, in pixels.
    """

    def __init__(self, camera: str, decode: Callable[[bytes], object], hz: float, width: int) -> None:
        self._camera, self._decode, self._period, self._width = camera, decode, 1.0 / hz, width
        self._lock, self._making = threading.Lock(), threading.Lock()
        self._data: bytes | None = None
        self._number, self._asked = 0, float("-inf")
        self._made: Picture | None = None
        self._made_at = float("-inf")
        self.problem = ""

    @property
    def looked_at(self) -> bool:
        """Whether somebody has asked for a picture lately."""
        return time.monotonic() - self._asked < LOOKED_AT_S

    def store(self, data: bytes) -> None:
        """A message came, not yet deserialised; the one before is dropped."""
        with self._lock:
            self._data, self._number = data, self._number + 1

    def forget(self) -> None:
        """Nobody looks: an old picture must not be shown to the next one who does."""
        with self._lock:
            self._data, self._made = None, None

    def newest(self, seen: int) -> Picture | None:
        """The newest picture, unless it is number `seen`; None where there is no other, or it is too early for one."""
        self._asked = time.monotonic()
        with self._making:
            self._make()
            made = self._made
        return made if made is not None and made.number != seen else None

    def _make(self) -> None:
        now = time.monotonic()
        with self._lock:
            data, number = self._data, self._number
        early = now - self._made_at < self._period
        if data is None or early or (self._made is not None and self._made.number == number):
            return
        try:
            picture = Picture(number, self._jpeg(data))
        except ObservationError as error:
            self.problem = str(error)
            return
        self._made_at, self.problem = now, ""
        with self._lock:
            self._made = picture if self._data is not None else None

    def _jpeg(self, data: bytes) -> bytes:
        image = decode_camera(self._decode(data), self._camera)
        height, width = image.shape[:2]
        if width > self._width:
            size = (self._width, max(1, round(height * self._width / width)))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        return jpeg.tobytes()


def pictures_of(
    cameras: Sequence[str], decode: Callable[[bytes], object], hz: float, width: int
) -> dict[str, CameraPictures]:
    """One per camera, by name."""
    return {camera: CameraPictures(camera, decode, hz, width) for camera in cameras}
