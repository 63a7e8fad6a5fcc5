"""Camera messages to RGB arrays and back."""

from typing import TypeAlias

import cv2
import numpy as np
from cv_bridge import CvBridge
from sensor_msgs.msg import CompressedImage, Image

from dvla_ros.control.camera_image import decode_camera

CameraMessage: TypeAlias = Image | CompressedImage

_BRIDGE = CvBridge()


def decode_image(message: CameraMessage, camera: str) -> np.ndarray:
    """RGB image uint8 `[H, W, 3]` of a raw or compressed camera message.

    Args:
        message: A raw image in a colour, grey or Bayer encoding of ROS, or a JPEG/PNG image.
        camera: Name of the camera, for the error message.

    Raises:
        ObservationError: The encoding cannot be converted, or the data do not match it.
    """
    return decode_camera(message, camera)


def encode_image(image: np.ndarray) -> Image:
    """A raw rgb8 message of an RGB image uint8 `[H, W, 3]`, with an empty header."""
    return _BRIDGE.cv2_to_imgmsg(image, encoding="rgb8")


def compress_image(image: np.ndarray, quality: int = 90) -> CompressedImage:
    """A JPEG message of an RGB image uint8 `[H, W, 3]`, with an empty header; quality 0..100."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    message = CompressedImage(format="rgb8; jpeg compressed bgr8")
    message.data.frombytes(data.tobytes())
    return message
