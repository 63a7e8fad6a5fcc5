"""Lanczos-3 resize with antialiasing, as TensorFlow's `tf.image.resize` computes it, without TensorFlow.

Output pixel i of n lies at c = (i + 1/2) m / n of m input pixels. Input pixel j weighs k(|j + 1/2 - c| / s) with
s = max(m / n, 1) and k(x) = 3 sin(pi x) sin(pi x / 3) / (pi x)^2 for x <= 3; the weights of an output pixel are divided
by their sum, so that pixels beyond the border count for nothing. (TensorFlow's ScaleAndTranslate operation.)
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dvla_ros.errors import ConfigurationError
from dvla_ros.preprocessing.rgb_image import RgbImage, require_rgb

FloatArray = NDArray[np.float32]

_RADIUS = np.float32(3)
_PI = np.float32(3.14159265359)
_FLAT = np.float32(1e-3)  # closer than this to 0 the kernel is 1: sin(x) / x has no value at 0


def lanczos3_resize(image: RgbImage, height: int, width: int) -> RgbImage:
    """`tf.image.resize(image, (height, width), "lanczos3", antialias=True)`, rounded half to even and clipped to uint8.

    Args:
        image: uint8 `[H, W, 3]`.
        height: Rows to make.
        width: Columns to make.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        ObservationError: The image is not uint8 `[H, W, 3]`.
        ConfigurationError: A size is not positive.
    """
    resized = lanczos3_values(require_rgb(image), height, width)
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)


def lanczos3_values(image: RgbImage, height: int, width: int) -> FloatArray:
    """The resize before rounding: float32 `[height, width, 3]`, which may leave 0..255 where the kernel rings."""
    rows, columns, channels = image.shape
    values = image.astype(np.float32).reshape(rows, columns * channels)
    tall = _along_first_axis(values, height).reshape(height, columns, channels)
    turned = np.ascontiguousarray(tall.transpose(1, 0, 2)).reshape(columns, height * channels)
    wide = _along_first_axis(turned, width).reshape(width, height, channels)
    return np.ascontiguousarray(wide.transpose(1, 0, 2))


def _along_first_axis(values: FloatArray, size: int) -> FloatArray:
    """Resize float32 `[M, X]` to `[size, X]`."""
    resized: FloatArray = _sparse_weights(len(values), size) @ values
    return resized


@lru_cache(maxsize=32)
def _sparse_weights(source: int, size: int) -> csr_array:
    """The weights without their zeros: an output pixel reads a few neighbours, and no BLAS wakes threads for them."""
    return csr_array(lanczos3_weights(source, size))


def lanczos3_weights(source: int, size: int) -> FloatArray:
    """How much each of `source` pixels adds to each of `size` pixels: float32 `[size, source]`, rows with the sum 1.

    Raises:
        ConfigurationError: A size is not positive.
    """
    if source < 1 or size < 1:
        raise ConfigurationError(f"Images have 1 pixel or more in each direction, got {source} to become {size}.")
    inverse_scale = np.float32(1) / (np.float32(size) / np.float32(source))
    stretch = max(inverse_scale, np.float32(1))
    centres = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * inverse_scale
    distances = np.arange(source, dtype=np.float32) + np.float32(0.5) - centres[:, None]
    weights = _kernel(np.abs(distances * (np.float32(1) / stretch)))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _kernel(distance: FloatArray) -> FloatArray:
    x = np.maximum(distance, _FLAT)
    curve = _RADIUS * np.sin(_PI * x) * np.sin(_PI * x / _RADIUS) / (_PI * _PI * x * x)
    inside = np.where(distance <= _FLAT, np.float32(1), curve)
    return np.where(distance > _RADIUS, np.float32(0), inside)
