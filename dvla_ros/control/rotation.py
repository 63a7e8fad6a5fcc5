"""Euler angles as the Bridge data set writes them: rotations about the fixed x, then y, then z axis."""

import math

import numpy as np

_SINGULAR = 1e-6
"""Below this cosine of the pitch, roll and yaw turn about one axis; the yaw is then set to zero."""


def matrix_from_euler(euler: np.ndarray) -> np.ndarray:
    """Rotation matrix `Rz(yaw) @ Ry(pitch) @ Rx(roll)`.

    Args:
        euler: `[3]` roll, pitch, yaw in radians.

    Returns:
        float64 `[3, 3]`.
    """
    roll, pitch, yaw = (float(angle) for angle in euler)
    cr, sr, cp, sp = math.cos(roll), math.sin(roll), math.cos(pitch), math.sin(pitch)
    cy, sy = math.cos(yaw), math.sin(yaw)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def euler_from_matrix(rotation: np.ndarray) -> np.ndarray:
    """Roll, pitch, yaw of a rotation matrix; the inverse of `matrix_from_euler` for a pitch within ±90 degrees.

    Args:
        rotation: `[3, 3]` rotation matrix.

    Returns:
        float64 `[3]` in radians: roll and yaw in ±pi, pitch in ±pi/2; yaw is zero at a pitch of ±pi/2.
    """
    r = rotation
    cosine = math.hypot(r[0, 0], r[1, 0])
    pitch = math.atan2(-r[2, 0], cosine)
    if cosine < _SINGULAR:
        return np.array([math.atan2(-r[1, 2], r[1, 1]), pitch, 0.0])
    return np.array([math.atan2(r[2, 1], r[2, 2]), pitch, math.atan2(r[1, 0], r[0, 0])])


def rotation_angle(a: np.ndarray, b: np.ndarray) -> float:
    """Angle in radians, 0..pi, of the rotation that leads from rotation matrix `a` to `b`."""
    d = a.T @ b
    sine = 0.5 * math.sqrt((d[2, 1] - d[1, 2]) ** 2 + (d[0, 2] - d[2, 0]) ** 2 + (d[1, 0] - d[0, 1]) ** 2)
    return math.atan2(sine, 0.5 * (d[0, 0] + d[1, 1] + d[2, 2] - 1.0))
