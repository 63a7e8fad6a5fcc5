"""Other light and sensor noise for the small networks: so cheap that a core makes thousands of pictures a second."""

import numpy as np
from scipy.special import ndtri

BRIGHTER, COLOURED, OFFSET, NOISE = (0.85, 1.15), (0.95, 1.05), (-10.0, 10.0), 3.0
"""Factor of a picture, factor of each of its colours, offset, and standard deviation of the noise, of 255."""
_LEVELS = 256


def _noise_levels() -> np.ndarray:
    """Equally likely values of a normal distribution of standard deviation 1, float32 `[256]`.

    A byte draws one of them; that is ten times as fast as a normal number for each pixel, and the pictures have only
    256 levels themselves.
    """
    levels = ndtri((np.arange(_LEVELS) + 0.5) / _LEVELS)
    return (levels / levels.std()).astype(np.float32)


_STANDARD = _noise_levels()


def relit(images: np.ndarray, rng: np.random.Generator, into: np.ndarray) -> None:
    """A frame's pictures in other light, seen by a noisy sensor.

    Args:
        images: uint8 `[C, h, w, 3]`.
        rng: Of this example.
        into: float32 `[C, 3, h, w]` in C order, is filled; about 0..255 and not clipped.
    """
    cameras = len(images)
    gain = rng.uniform(*BRIGHTER, (cameras, 1)) * rng.uniform(*COLOURED, (cameras, 3))
    offset = rng.uniform(*OFFSET, (cameras, 1))
    drawn = np.frombuffer(rng.bytes(into.size), np.uint8).reshape(into.shape)
    np.take(NOISE * _STANDARD, drawn, out=into, mode="clip")  # nothing to clip; it saves NumPy a copy
    factor = gain[..., None, None].astype(np.float32)
    into += np.multiply(images.transpose(0, 3, 1, 2), factor, order="C")
    into += offset[..., None, None].astype(np.float32)
