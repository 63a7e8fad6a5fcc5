"""Poses between two poses: the position on a straight line, the orientation on the shortest way."""

import math

import numpy as np

_NEARLY_EQUAL = 1e-9
"""Below this angle in rad between two quaternions the great circle and the chord are the same to float64."""


def quaternion_from_matrix(rotation: np.ndarray) -> np.ndarray:
    """Unit quaternion xyzw of a rotation matrix `[3, 3]`, with w >= 0.

    Of the four ways to compute it, the one that divides by the largest component (Shepperd, "Quaternion from rotation
    matrix", 1978), so that no orientation loses digits.
    """
    r = np.asarray(rotation, np.float64)
    trace = r[0, 0] + r[1, 1] + r[2, 2]
    squares = (r[0, 0], r[1, 1], r[2, 2], trace)
    largest = max(range(4), key=squares.__getitem__)
    if largest == 3:
        q = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], 1.0 + trace])
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        q = np.empty(4)
        q[i], q[j], q[k] = 1.0 + 2.0 * r[i, i] - trace, r[j, i] + r[i, j], r[k, i] + r[i, k]
        q[3] = r[k, j] - r[j, k]
    return q / (math.copysign(1.0, q[3]) * math.sqrt(float(q @ q)))


def matrix_from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix `[3, 3]` of a quaternion `[4]` xyzw of any length but zero."""
    x, y, z, w = (quaternion / math.sqrt(float(quaternion @ quaternion))).tolist()
    return np.array(
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
            [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
            [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
        ]
    )


def slerp(a: np.ndarray, b: np.ndarray, weight: float) -> np.ndarray:
    """The rotation between two rotations at constant angular velocity, on the shorter way round.

    Source: Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985. At exactly 180 degrees both ways are
    equally long; the signs of `a` and `b` then decide.

    Args:
        a: Unit quaternion `[4]` xyzw, the result at weight 0.
        b: Unit quaternion `[4]` xyzw, the result at weight 1, up to its sign.
        weight: 0..1.

    Returns:
        Unit quaternion `[4]` xyzw.
    """
    if float(a @ b) < 0.0:
        b = -b
    angle = 2.0 * math.atan2(_length(b - a), _length(b + a))  # arccos loses half the digits of a small angle
    if angle < _NEARLY_EQUAL:
        q = (1.0 - weight) * a + weight * b
    else:
        q = math.sin((1.0 - weight) * angle) * a + math.sin(weight * angle) * b
    return np.asarray(q / _length(q))


def pose_between(a: np.ndarray, b: np.ndarray, weight: float) -> np.ndarray:
    """The pose at part `weight` of the way from pose `a` to pose `b`.

    Args:
        a: `[4, 4]`, the result at weight 0.
        b: `[4, 4]`, the result at weight 1.
        weight: 0..1.

    Returns:
        float64 `[4, 4]`: the position on the straight line, the orientation by `slerp`.
    """
    turn = slerp(quaternion_from_matrix(a[:3, :3]), quaternion_from_matrix(b[:3, :3]), weight)
    pose = np.eye(4)
    pose[:3, :3] = matrix_from_quaternion(turn)
    pose[:3, 3] = (1.0 - weight) * a[:3, 3] + weight * b[:3, 3]
    return pose


def _length(vector: np.ndarray) -> float:
    return math.sqrt(float(vector @ vector))
