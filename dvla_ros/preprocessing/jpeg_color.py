"""JPEG's colours in libjpeg's 16-bit fixed point: RGB to Y, Cb, Cr and back, with chroma at half resolution."""

import numpy as np
from numpy.typing import NDArray

from dvla_ros.preprocessing.rgb_image import RgbImage

IntArray = NDArray[np.int32]

_HALF = 1 << 15
_CENTRE = 128 << 16
_FANCY_FROM = 3  # libjpeg interpolates chroma of 3 columns or more, and repeats narrower ones


def luma(image: RgbImage) -> IntArray:
    """Y in 0..255: int32 `[H, W]`."""
    red, green, blue = _channels(image)
    return np.asarray((19595 * red + 38470 * green + 7471 * blue + _HALF) >> 16)


def chroma(image: RgbImage) -> tuple[IntArray, IntArray]:
    """Cb and Cr in 0..255, each int32 `[H, W]`."""
    red, green, blue = _channels(image)
    blueness = (-11059 * red - 21709 * green + 32768 * blue + (_CENTRE + _HALF - 1)) >> 16
    redness = (32768 * red - 27439 * green - 5329 * blue + (_CENTRE + _HALF - 1)) >> 16
    return blueness, redness


def _channels(image: RgbImage) -> tuple[IntArray, IntArray, IntArray]:
    red, green, blue = (np.ascontiguousarray(image[..., channel], dtype=np.int32) for channel in range(3))
    return red, green, blue


def halved(plane: IntArray) -> IntArray:
    """Means of 2x2 pixels, int32 `[ceil(H / 2), W / 2]` for an even W: rounding adds 1/4 and 1/2 in turn."""
    even = np.pad(plane, ((0, plane.shape[0] % 2), (0, 0)), mode="edge")
    sums = even[0::2, 0::2] + even[0::2, 1::2] + even[1::2, 0::2] + even[1::2, 1::2]
    bias = 1 + np.arange(sums.shape[1], dtype=np.int32) % 2
    return np.asarray((sums + bias) >> 2)


def doubled(plane: IntArray, height: int, width: int) -> IntArray:
    """Chroma at full resolution, int32 `[height, width]`: 3/4 of the nearer pixel and 1/4 of the next, each way."""
    if plane.shape[1] < _FANCY_FROM:
        return np.asarray(plane.repeat(2, axis=0).repeat(2, axis=1)[:height, :width])
    rows = np.pad(plane, ((1, 1), (0, 0)), mode="edge")
    tall = np.empty((2 * plane.shape[0], plane.shape[1]), dtype=np.int32)
    tall[0::2] = 3 * plane + rows[:-2]
    tall[1::2] = 3 * plane + rows[2:]
    columns = np.pad(tall, ((0, 0), (1, 1)), mode="edge")
    wide = np.empty((tall.shape[0], 2 * tall.shape[1]), dtype=np.int32)
    wide[:, 0::2] = (3 * tall + columns[:, :-2] + 8) >> 4
    wide[:, 1::2] = (3 * tall + columns[:, 2:] + 7) >> 4
    return wide[:height, :width]


def to_rgb(brightness: IntArray, blueness: IntArray, redness: IntArray) -> RgbImage:
    """Y, Cb, Cr in 0..255, each int32 `[H, W]`, to uint8 `[H, W, 3]`."""
    blue, red = blueness - 128, redness - 128
    image = np.empty((*brightness.shape, 3), dtype=np.uint8)
    image[..., 0] = np.clip(brightness + ((91881 * red + _HALF) >> 16), 0, 255)
    image[..., 1] = np.clip(brightness + ((-22554 * blue - 46802 * red + _HALF) >> 16), 0, 255)
    image[..., 2] = np.clip(brightness + ((116130 * blue + _HALF) >> 16), 0, 255)
    return image
