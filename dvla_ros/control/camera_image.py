"""Camera messages to RGB arrays, whatever made the message: rclpy or a bag.

Encodings are those of `sensor_msgs/image_encodings`. Rows may be padded (`step`).
"""

from typing import Any, Protocol

import cv2
import numpy as np

from dvla_ros.errors import ObservationError


class RawImage(Protocol):
    """The fields of `sensor_msgs/Image` that are read."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class CompressedPicture(Protocol):
    """The fields of `sensor_msgs/CompressedImage` that are read."""

    format: str
    data: Any


_CHANNELS_AND_CONVERSION: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "rgb16": (3, None),
    "bgr16": (3, cv2.COLOR_BGR2RGB),
    "rgba16": (4, cv2.COLOR_RGBA2RGB),
    "bgra16": (4, cv2.COLOR_BGRA2RGB),
    "mono16": (1, cv2.COLOR_GRAY2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    # OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first row's first two.
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
}
_SIXTEEN_TO_EIGHT = 255.0 / 65535.0


def decode_camera(message: Any, camera: str) -> np.ndarray:
    """RGB image uint8 `[H, W, 3]` of a raw or compressed camera message; see `decode_raw` and `decode_compressed`."""
    return decode_raw(message, camera) if hasattr(message, "encoding") else decode_compressed(message, camera)


def decode_raw(message: RawImage, camera: str) -> np.ndarray:
    """RGB image uint8 `[H, W, 3]` of a raw image message, in memory of its own.

    Args:
        message: The message.
        camera: Name of the camera, for the error message.

    Raises:
        ObservationError: The encoding is not one that becomes colours, or the data do not match it.
    """
    try:
        return _decode(message)
    except (cv2.error, KeyError, ValueError) as error:
        raise ObservationError(
            f"Camera '{camera}' sends encoding '{message.encoding}' ({message.width}x{message.height}, "
            f"{len(message.data)} bytes), which cannot be converted to rgb8 ({_first_line(error)}). "
            "Set the camera driver to rgb8, bgr8, rgba8, mono8, yuv422 or a Bayer encoding."
        ) from error


def decode_compressed(message: CompressedPicture, camera: str) -> np.ndarray:
    """RGB image uint8 `[H, W, 3]` of a JPEG or PNG message.

    Args:
        message: The message.
        camera: Name of the camera, for the error message.

    Raises:
        ObservationError: The data are no JPEG or PNG.
    """
    image = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR) if len(message.data) > 0 else None
    if image is None:
        raise ObservationError(
            f"Camera '{camera}' sends a compressed image of format '{message.format}' ({len(message.data)} bytes) that "
            "is no JPEG or PNG. Let the driver publish 'jpeg' or 'png', or set the parameter compressed to false."
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _decode(message: RawImage) -> np.ndarray:
    if message.encoding not in _CHANNELS_AND_CONVERSION:
        raise ValueError("unknown, or not a colour or grey image")
    channels, conversion = _CHANNELS_AND_CONVERSION[message.encoding]
    pixels = _pixels(message, channels)
    if pixels.dtype != np.uint8:
        pixels = cv2.convertScaleAbs(pixels.astype(np.uint16), alpha=_SIXTEEN_TO_EIGHT).reshape(pixels.shape)
    return pixels.copy() if conversion is None else cv2.cvtColor(pixels, conversion)


def _pixels(message: RawImage, channels: int) -> np.ndarray:
    """The pixels `[H, W, C]` without the padding of rows."""
    sixteen = ">u2" if message.is_bigendian else "<u2"
    kind = np.dtype(sixteen if message.encoding.endswith("16") else "u1")
    data = np.frombuffer(message.data, np.uint8)
    row = message.width * channels * kind.itemsize
    if row == 0 or message.height == 0 or message.step < row or data.size < message.height * message.step:
        raise ValueError(f"needs {message.height} rows of {row} bytes, its step is {message.step}")
    rows = data[: message.height * message.step].reshape(message.height, message.step)[:, :row]
    return np.ascontiguousarray(rows).view(kind).reshape(message.height, message.width, channels)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
