"""The discrete cosine transform along a chunk's time axis."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=16)
def dct_matrix(size: int) -> NDArray[np.float64]:
    """The orthonormal DCT-II as a matrix M, float64 `[H, H]`, read-only; its inverse is its transpose.

    M[k, n] = sqrt(2 / H) cos(pi k (2 n + 1) / (2 H)), and row 0 is 1 / sqrt(H). Row k is a frequency, so that `M @ a`
    are the coefficients of a signal a `[H]`. For a in -1..1 no coefficient exceeds sqrt(H).

    Args:
        size: H, the length of the signal.
    """
    frequency, time = np.mgrid[:size, :size]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * frequency * (2 * time + 1) / (2 * size))
    matrix[0] = 1 / np.sqrt(size)
    matrix.flags.writeable = False
    return np.asarray(matrix, dtype=np.float64)
