"""What LIBERO's numbers mean to a policy, and a policy's to LIBERO.

A policy of this package speaks of metres, radians and a gripper of 0 closed .. 1 open. LIBERO's controller (robosuite's
`OSC_POSE`) takes -1..1, of which 1 is 5 cm or 0.5 rad in one step of 0.05 s, and a gripper of -1 open .. 1 closed.
"""

import numpy as np

from dvla_ros.actions.gripper import convert_gripper, gripper_convention
from dvla_ros.control.rotation import euler_from_matrix
from dvla_ros.errors import ActionError
from dvla_ros.evaluation.libero.simulator import Look
from dvla_ros.policies.published.units import LIBERO_STEP

ACTION_WIDTH = 7
_DOWNWARD = np.diag([1.0, -1.0, -1.0])
"""Orientation of Panda's end effector when it points straight down."""
_FINGERS_APART = 0.08
"""Metres between the fingers of an open gripper."""


def axis_angle(quaternion: np.ndarray) -> np.ndarray:
    """Rotation vector of a quaternion, as robosuite's `quat2axisangle` and the published evaluations compute it.

    The angle is 2 acos(w), 0..2 pi: a quaternion and its negative, which are one rotation, have different vectors.

    Args:
        quaternion: `[4]`, x y z w, of length 1.

    Returns:
        float64 `[3]`, radians.
    """
    w = float(np.clip(quaternion[3], -1.0, 1.0))
    sine = np.sqrt(1.0 - w * w)
    if np.isclose(sine, 0.0):
        return np.zeros(3)
    vector: np.ndarray = np.asarray(quaternion[:3], np.float64) * 2.0 * np.arccos(w) / sine
    return vector


def libero_state(look: Look) -> np.ndarray:
    """The state of OpenVLA-OFT's evaluation: position (m), rotation vector (rad), both fingers (m); float64 `[8]`."""
    return np.concatenate([look.position, axis_angle(look.quaternion), look.fingers])


def bridge_state(look: Look) -> np.ndarray:
    """The state of this package, see `control.bridge.state`, from the foot of LIBERO's robot; float64 `[7]`."""
    opening = np.clip((look.fingers[0] - look.fingers[1]) / _FINGERS_APART, 0.0, 1.0)
    angles = euler_from_matrix(_matrix(look.quaternion) @ _DOWNWARD.T)
    return np.concatenate([look.position - look.base, angles, [opening]])


def controller_rows(actions: np.ndarray) -> np.ndarray:
    """Rows for LIBERO's controller.

    Args:
        actions: `[n, 7]`, increments in metres and radians, gripper 0 closed .. 1 open.

    Returns:
        float64 `[n, 7]` in -1..1, longer increments cut as the controller does; the gripper is -1 or 1.

    Raises:
        ActionError: Another shape, or a number that is not finite.
    """
    if actions.ndim != 2 or actions.shape[1] != ACTION_WIDTH or not np.isfinite(actions).all():
        raise ActionError(f"LIBERO takes finite rows [n, {ACTION_WIDTH}], got shape {list(actions.shape)}: {actions}.")
    rows = convert_gripper(actions, gripper_convention("openvla_libero")).astype(np.float64)
    rows[:, :-1] = np.clip(rows[:, :-1] / LIBERO_STEP, -1.0, 1.0)
    return rows


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix `[3, 3]` of a quaternion x y z w."""
    x, y, z, w = (float(value) for value in quaternion / np.linalg.norm(quaternion))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
