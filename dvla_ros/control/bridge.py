"""What state and action mean for a WidowX in the Bridge data set, and for every policy trained on it.

Poses are 4x4 transforms of the end effector in the base frame. Source: the robot environment and the transformation
functions of `rail-berkeley/bridge_data_robot`.
"""

import numpy as np

from dvla_ros.control.kinematics import forward
from dvla_ros.control.rotation import euler_from_matrix, matrix_from_euler
from dvla_ros.control.widowx import gripper_from_finger
from dvla_ros.control.workspace import TABLETOP_BOX, WorkspaceBox
from dvla_ros.errors import ActionError

DEFAULT_ROTATION = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""Orientation of a gripper that points straight down; the angles of a state are relative to it."""

ACTION_NAMES = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "gripper")
ACTION_LOWER = np.array([-0.05, -0.05, -0.05, -0.25, -0.25, -0.25, 0.0])
ACTION_UPPER = np.array([0.05, 0.05, 0.05, 0.25, 0.25, 0.25, 1.0])
"""Range to which an action is clipped: metres, radians, gripper 0 closed .. 1 open."""


def bridge_state(joints: np.ndarray, finger: float) -> np.ndarray:
    """State of the arm as the policy sees it.

    Args:
        joints: `[6]` arm joints in radians.
        finger: Position of `left_finger` in metres.

    Returns:
        float64 `[7]`, see `state`.
    """
    return state(forward(joints), gripper_from_finger(finger))


def state(pose: np.ndarray, gripper: float) -> np.ndarray:
    """Bridge state of an end-effector pose.

    The angles are those of `R_ee @ DEFAULT_ROTATION.T`: all zero when the gripper points straight down, fingers
    closing along y.

    Args:
        pose: `[4, 4]`.
        gripper: Opening, 0 closed .. 1 open.

    Returns:
        float64 `[7]`: x, y, z (m), roll, pitch, yaw (rad), gripper.
    """
    euler = euler_from_matrix(pose[:3, :3] @ DEFAULT_ROTATION.T)
    return np.concatenate([pose[:3, 3], euler, [gripper]])


def pose_from_state(vector: np.ndarray) -> tuple[np.ndarray, float]:
    """End-effector pose `[4, 4]` and gripper opening of a Bridge state `[7]`; the inverse of `state`."""
    _require_seven(vector)
    pose = np.eye(4)
    pose[:3, :3] = matrix_from_euler(vector[3:6]) @ DEFAULT_ROTATION
    pose[:3, 3] = vector[:3]
    return pose, float(vector[6])


def clip_action(action: np.ndarray) -> np.ndarray:
    """The action `[7]` limited to ±0.05 m, ±0.25 rad and a gripper of 0..1, float64."""
    _require_seven(action)
    return np.clip(np.asarray(action, np.float64), ACTION_LOWER, ACTION_UPPER)


def apply_delta(
    previous_target: np.ndarray, measured: np.ndarray, action: np.ndarray, workspace: WorkspaceBox = TABLETOP_BOX
) -> tuple[np.ndarray, float]:
    """The next commanded pose: the clipped action, applied to the pose commanded before.

    `T_next = Trans(p) @ [R(euler) | dxyz] @ Trans(-p) @ T_previous` with p the measured position: the translation is
    along the axes of the base, the rotation about axes parallel to those of the base through the *measured* end
    effector. The position is then clipped to the workspace; the orientation is not.

    Args:
        previous_target: `[4, 4]` pose commanded before.
        measured: `[4, 4]` measured pose; only its position counts.
        action: `[7]` dx, dy, dz (m), droll, dpitch, dyaw (rad), gripper (absolute).
        workspace: Box for the position.

    Returns:
        The pose to command, float64 `[4, 4]`, and the gripper opening 0..1.

    Raises:
        ActionError: The action does not have 7 numbers.
    """
    clipped = clip_action(action)
    turn, centre = matrix_from_euler(clipped[3:6]), measured[:3, 3]
    target = np.eye(4)
    target[:3, :3] = turn @ previous_target[:3, :3]
    target[:3, 3] = workspace.clip(turn @ (previous_target[:3, 3] - centre) + centre + clipped[:3])
    return target, float(clipped[6])


def delta_between(
    previous_target: np.ndarray, next_target: np.ndarray, measured: np.ndarray, gripper: float
) -> np.ndarray:
    """The action that leads from one commanded pose to the next; the exact inverse of `apply_delta`.

    Args:
        previous_target: `[4, 4]` pose commanded before.
        next_target: `[4, 4]` pose to be commanded.
        measured: `[4, 4]` measured pose at the moment the action is applied.
        gripper: Opening to command, 0 closed .. 1 open.

    Returns:
        float64 `[7]`, not clipped: `apply_delta` reaches `next_target` only if it lies within `ACTION_LOWER` and
        `ACTION_UPPER` and the target lies in the workspace.
    """
    turn, centre = next_target[:3, :3] @ previous_target[:3, :3].T, measured[:3, 3]
    translation = next_target[:3, 3] - centre - turn @ (previous_target[:3, 3] - centre)
    return np.concatenate([translation, euler_from_matrix(turn), [gripper]])


def _require_seven(vector: np.ndarray) -> None:
    if vector.shape != (7,):
        raise ActionError(f"Bridge states and actions have 7 numbers {ACTION_NAMES}, got shape {list(vector.shape)}.")
