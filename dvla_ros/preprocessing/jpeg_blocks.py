"""JPEG's lossy core for one plane: cosine transform of 8x8 blocks, quantisation, and the fast inverse transform.

The forward transform is libjpeg's accurate integer one; what it computes before rounding is linear, so it is one
integer matrix here. The inverse is libjpeg's fast one (Arai, Agui and Nakajima, 8-bit constants), whose every product
is cut off: it has to be followed step by step. It darkens by 0.5 to 0.8 of a level; networks were trained on that.
"""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]

# 8 cosines in 13 bits, frequency by pixel; the last digits are those of libjpeg's factorised form.
_FORWARD = np.array(
    [
        [8192, 8192, 8192, 8192, 8192, 8192, 8192, 8192],
        [11363, 9633, 6437, 2260, -2260, -6437, -9633, -11363],
        [10703, 4433, -4433, -10703, -10703, -4433, 4433, 10703],
        [9633, -2259, -11362, -6436, 6436, 11362, 2259, -9633],
        [8192, -8192, -8192, 8192, 8192, -8192, -8192, 8192],
        [6437, -11362, 2261, 9633, -9633, -2261, 11362, -6437],
        [4433, -10704, 10704, -4433, -4433, 10704, -10704, 4433],
        [2260, -6436, 9633, -11363, 11363, -9633, 6436, -2260],
    ],
    dtype=np.float64,  # products stay below 2^53: exact
)
# Tables K.1 and K.2 of the JPEG standard (ITU-T T.81).
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
_BAND = 64  # rows at a time: what is in between stays in the processor's cache
_SQRT_2, _1_08, _1_85, _2_61 = 362, 277, 473, 669  # the fast inverse's constants times 256


def quantization(quality: int, *, is_luma: bool) -> IntArray:
    """The table of libjpeg for a quality of 1..100: int32 `[8, 8]`, vertical by horizontal frequency."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    base = np.array(_LUMA if is_luma else _CHROMA, dtype=np.int32)
    return np.clip((base * percent + 50) // 100, 1, 255)


def compressed_plane(plane: IntArray, table: IntArray) -> IntArray:
    """What is left of a plane of 0..255 after compression: int32 `[H, W]`, for H and W multiples of 8."""
    bands = [_compressed(plane[top : top + _BAND], table) for top in range(0, len(plane), _BAND)]
    return np.concatenate(bands)


def _compressed(band: IntArray, table: IntArray) -> IntArray:
    height, width = band.shape
    blocks = band.reshape(height // 8, 8, width // 8, 8).transpose(1, 3, 0, 2).reshape(8, 8, -1)
    restored = _inverse(_quantized(_forward(blocks - 128), table), table)
    return restored.reshape(8, 8, height // 8, width // 8).transpose(2, 0, 3, 1).reshape(height, width)


def _forward(blocks: IntArray) -> IntArray:
    """Pixels `[8, 8, N]`, row by column, to 8 times their cosine coefficients."""
    rows = _rounded(np.matmul(_FORWARD, blocks.astype(np.float64)), 11)  # along columns; 2 bits more than the pixels
    columns = np.matmul(_FORWARD, rows.reshape(8, -1)).reshape(rows.shape)
    return _rounded(columns, 15).astype(np.int32)


def _rounded(values: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    return np.floor(values * 2.0**-bits + 0.5)


def _quantized(coefficients: IntArray, table: IntArray) -> IntArray:
    """Whole numbers of quantisation steps, halves away from 0."""
    step = (table * 8).astype(np.float64)[..., None]
    return (np.sign(coefficients) * np.floor((np.abs(coefficients) + step / 2) / step)).astype(np.int32)


def _inverse(levels: IntArray, table: IntArray) -> IntArray:
    """Quantised `[8, 8, N]` to pixels of 0..255."""
    scale = np.array([1.0] + [np.sqrt(2) * np.cos(k * np.pi / 16) for k in range(1, 8)])
    scales = np.rint(np.outer(scale, scale) * 2**14).astype(np.int32)
    dequantized = levels * ((table * scales + (1 << 11)) >> 12)[..., None]
    tall = _butterfly(dequantized)
    wide = _butterfly(tall.transpose(1, 0, 2)).transpose(1, 0, 2)
    return np.clip((wide >> 5) + 128, 0, 255)


def _butterfly(x: IntArray) -> IntArray:
    """The fast inverse transform along the first axis of int32 `[8, ...]`."""
    sum_04, difference_04, sum_26 = x[0] + x[4], x[0] - x[4], x[2] + x[6]
    cross_26 = _times(x[2] - x[6], _SQRT_2) - sum_26
    even = (sum_04 + sum_26, difference_04 + cross_26, difference_04 - cross_26, sum_04 - sum_26)
    sum_53, difference_53, sum_17, difference_17 = x[5] + x[3], x[5] - x[3], x[1] + x[7], x[1] - x[7]
    shared = _times(difference_53 + difference_17, _1_85)
    odd_0 = sum_17 + sum_53
    odd_1 = _times(difference_53, -_2_61) + shared - odd_0
    odd_2 = _times(sum_17 - sum_53, _SQRT_2) - odd_1
    odd_3 = _times(difference_17, _1_08) - shared + odd_2
    odd = (odd_0, odd_1, odd_2, -odd_3)
    forwards = [e + o for e, o in zip(even, odd, strict=True)]
    backwards = [e - o for e, o in zip(even, odd, strict=True)]
    return np.stack([*forwards, *reversed(backwards)])


def _times(values: IntArray, constant: int) -> IntArray:
    """The product with a constant of 8 fractional bits, cut off."""
    return np.asarray((values * constant) >> 8)
