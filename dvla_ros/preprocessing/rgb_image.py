"""The one form in which images enter and travel through preprocessing: uint8 `[H, W, 3]`, RGB."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvla_ros.errors import ObservationError

RgbImage = NDArray[np.uint8]


def require_rgb(image: np.ndarray, name: str = "image") -> RgbImage:
    """The image itself, where it is uint8 `[H, W, 3]` and not empty.

    Raises:
        ObservationError: It is something else; `name` says which image it was.
    """
    shape, kind = np.shape(image), getattr(image, "dtype", type(image).__name__)
    if kind != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise ObservationError(f"{name} must be uint8 [height, width, 3] in RGB, got {kind} {list(shape)}.")
    return np.asarray(image)


def rotate_180(image: RgbImage) -> RgbImage:
    """Upside down and left to right, as LIBERO's renders come; uint8 `[H, W, 3]`, a contiguous copy."""
    return np.ascontiguousarray(image[::-1, ::-1])


def bicubic(image: RgbImage, height: int, width: int) -> RgbImage:
    """Pillow's bicubic resize (antialiased, a = -0.5), the one that `transformers` and the released scripts call.

    Args:
        image: uint8 `[H, W, 3]`.
        height: Rows to make.
        width: Columns to make.

    Returns:
        uint8 `[height, width, 3]`; the image itself where it has that size already.
    """
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
