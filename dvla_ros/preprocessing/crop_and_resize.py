"""Crops of the middle of an image, each resized back: that of OpenVLA-OFT (by area) and that of DexVLA (by side)."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from dvla_ros.errors import ConfigurationError
from dvla_ros.preprocessing.rgb_image import RgbImage, require_rgb

FloatArray = NDArray[np.float32]

_TO_UINT8 = np.float32(255.5)  # tf.image.convert_image_dtype: largest value + 1/2, then the fraction is cut off


def center_crop_area(image: RgbImage, area: float = 0.9) -> RgbImage:
    """The middle of an image, `area` of it, resized back to its size as OpenVLA-OFT does at test time.

    Values / 255, TensorFlow's crop_and_resize with sides sqrt(area), clip to 0..1, times 255.5, fraction cut off.

    Args:
        image: uint8 `[H, W, 3]`.
        area: Share of the area to keep, in (0, 1].

    Returns:
        uint8 `[H, W, 3]`.

    Raises:
        ObservationError: The image is not uint8 `[H, W, 3]`.
        ConfigurationError: `area` is not in (0, 1].
    """
    _check_share("area", area)
    height, width = require_rgb(image).shape[:2]
    side = np.sqrt(np.float32(area))
    offset = (np.float32(1) - side) / np.float32(2)
    values = image.astype(np.float32) * np.float32(1 / 255)
    cropped = crop_and_resize(values, (offset, offset, offset + side, offset + side), height, width)
    return (np.clip(cropped, 0, 1) * _TO_UINT8).clip(0, 255).astype(np.uint8)


def crop_and_resize(
    values: FloatArray, box: tuple[np.float32, np.float32, np.float32, np.float32], height: int, width: int
) -> FloatArray:
    """TensorFlow's `tf.image.crop_and_resize`, bilinear, for boxes inside the image.

    Row i of the crop lies at y1 (H - 1) + i (y2 - y1) (H - 1) / (height - 1) of the image, between the rows below and
    above; columns likewise. A single row lies at the middle of y1 and y2.

    Args:
        values: float32 `[H, W, C]`.
        box: y1, x1, y2, x2 in 0..1 of the image.
        height: Rows of the crop.
        width: Columns of the crop.

    Returns:
        float32 `[height, width, C]`.
    """
    low_y, high_y, share_y = _positions(float(box[0]), float(box[2]), values.shape[0], height)
    low_x, high_x, share_x = _positions(float(box[1]), float(box[3]), values.shape[1], width)
    across_x = share_x[None, :, None]
    left, right = values[:, low_x], values[:, high_x]
    rows = left + (right - left) * across_x
    top, bottom = rows[low_y], rows[high_y]
    return np.asarray(top + (bottom - top) * share_y[:, None, None], dtype=np.float32)


@lru_cache(maxsize=32)
def _positions(start: float, stop: float, source: int, size: int) -> tuple[np.ndarray, np.ndarray, FloatArray]:
    """For each output: the pixel below, the pixel above, and how far it is from the first to the second."""
    first, last, span = np.float32(start), np.float32(stop), np.float32(source - 1)
    if size == 1:
        where = np.asarray([np.float32(0.5) * (first + last) * span], dtype=np.float32)
    else:
        step = (last - first) * span / np.float32(size - 1)
        where = first * span + np.arange(size, dtype=np.float32) * step
    low = np.floor(where)
    return low.astype(np.intp), np.ceil(where).astype(np.intp), np.asarray(where - low, dtype=np.float32)


def center_crop_sides(image: RgbImage, ratio: float = 0.95) -> RgbImage:
    """The middle of an image, `ratio` of each side, resized back to its size as DexVLA does at test time.

    Pixels int(n (1 - ratio) / 2) up to int(n (1 + ratio) / 2) of each side; bilinear with antialiasing in float32
    (`torch`'s own kernel, the one that torchvision calls for tensors); the fraction is cut off, not rounded.

    Args:
        image: uint8 `[H, W, 3]`.
        ratio: Share of each side to keep, in (0, 1].

    Returns:
        uint8 `[H, W, 3]`.

    Raises:
        ObservationError: The image is not uint8 `[H, W, 3]`, or too small for the crop.
        ConfigurationError: `ratio` is not in (0, 1].
    """
    _check_share("ratio", ratio)
    height, width = require_rgb(image).shape[:2]
    rows, columns = (slice(int(side * (1 - ratio) / 2), int(side * (1 + ratio) / 2)) for side in (height, width))
    crop = require_rgb(image[rows, columns], f"The crop of a {height}x{width} image")
    values = torch.from_numpy(crop.transpose(2, 0, 1).astype(np.float32))[None]
    resized = torch.nn.functional.interpolate(
        values, size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
    return np.ascontiguousarray(resized[0].clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())


def _check_share(name: str, share: float) -> None:
    if not 0 < share <= 1:
        raise ConfigurationError(f"{name} must be more than 0 and 1 at most, got {share}.")
