"""Camera messages to RGB arrays, through cv_bridge."""

from typing import TypeAlias

import cv2
import numpy as np
from cv_bridge import CvBridge, CvBridgeError
from sensor_msgs.msg import CompressedImage, Image

from dvla_ros.errors import ObservationError

CameraMessage: TypeAlias = Image | CompressedImage

_BRIDGE = CvBridge()


def decode_image(message: CameraMessage, camera: str) -> np.ndarray:
    """RGB image uint8 `[H, W, 3]` of a raw or compressed camera message.

    Args:
        message: A raw image in any encoding that cv_bridge converts to rgb8, or a JPEG/PNG image.
        camera: Name of the camera, for the error message.

    Raises:
        ObservationError: The encoding cannot be converted, or the data do not match it.
    """
    if isinstance(message, CompressedImage):
        return _decode_compressed(message, camera)
    try:
        return np.asarray(_BRIDGE.imgmsg_to_cv2(message, desired_encoding="rgb8"))
    except (CvBridgeError, cv2.error, TypeError, ValueError, KeyError) as error:
        raise ObservationError(
            f"Camera '{camera}' sends encoding '{message.encoding}' ({message.width}x{message.height}, "
            f"{len(message.data)} bytes), which cannot be converted to rgb8 ({_first_line(error)}). "
            "Set the camera driver to rgb8, bgr8, rgba8, mono8, yuv422 or a Bayer encoding."
        ) from error


def encode_image(image: np.ndarray) -> Image:
    """A raw rgb8 message of an RGB image uint8 `[H, W, 3]`, with an empty header."""
    return _BRIDGE.cv2_to_imgmsg(image, encoding="rgb8")


def compress_image(image: np.ndarray, quality: int = 90) -> CompressedImage:
    """A JPEG message of an RGB image uint8 `[H, W, 3]`, with an empty header; quality 0..100."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    message = CompressedImage(format="rgb8; jpeg compressed bgr8")
    message.data.frombytes(data.tobytes())
    return message


def _decode_compressed(message: CompressedImage, camera: str) -> np.ndarray:
    image = None
    if len(message.data) > 0:
        image = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ObservationError(
            f"Camera '{camera}' sends a compressed image of format '{message.format}' ({len(message.data)} bytes) that "
            "is no JPEG or PNG. Let the driver publish 'jpeg' or 'png', or set the parameter compressed to false."
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
