"""Seams of absolute targets: a new chunk begins where the old one is, and goes over to its own targets bit by bit."""

import numpy as np

from dvla_ros.control.action_space import Target, pose_from_action
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.pose_interpolation import pose_between
from dvla_ros.control.rotation import euler_from_matrix

_NOWHERE = np.eye(4)


def seam_offset(actions: np.ndarray, first: int, mode: ControlMode, base: Target) -> np.ndarray | None:
    """From where a chunk believes the arm to be when its row `first` begins to where it is planned to be.

    That is the target of the row before; for the first row of all, where its line through the second row comes from.

    Args:
        actions: `[H, 7]` rows of the chunk.
        first: The first row that is taken over.
        mode: What the rows mean.
        base: Where the arm is planned to be when that row begins.

    Returns:
        `[6]` rad for joints; `[4, 4]` for poses: translation of the position, rotation by left multiplication. None for
        increments, which begin where the arm is, and for a single row.
    """
    if mode not in (ControlMode.JOINT_POSITION, ControlMode.EE_POSE) or (first == 0 and len(actions) < 2):
        return None
    actions = np.asarray(actions, np.float64)
    if mode is ControlMode.JOINT_POSITION:
        believed = actions[first - 1, :6] if first else 2.0 * actions[0, :6] - actions[1, :6]
        return np.asarray(base.joints - believed)
    believed = pose_from_action(actions[first - 1]) if first else _back(*map(pose_from_action, actions[:2]))
    offset = np.eye(4)
    offset[:3, :3] = base.pose[:3, :3] @ believed[:3, :3].T
    offset[:3, 3] = base.pose[:3, 3] - believed[:3, 3]
    return offset


def shifted(action: np.ndarray, mode: ControlMode, offset: np.ndarray, part: float) -> np.ndarray:
    """The row `[7]` of absolute targets moved by `part` (0..1) of an offset, see `seam_offset`."""
    moved = np.array(action, np.float64)
    if mode is ControlMode.JOINT_POSITION:
        moved[:6] += part * offset
        return moved
    pose, some = pose_from_action(moved), pose_between(_NOWHERE, offset, part)
    moved[:3] += some[:3, 3]
    moved[3:6] = euler_from_matrix(some[:3, :3] @ pose[:3, :3])
    return moved


def _back(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The pose as far before `first` as `second` is after it."""
    pose = np.eye(4)
    pose[:3, :3] = first[:3, :3] @ second[:3, :3].T @ first[:3, :3]
    pose[:3, 3] = 2.0 * first[:3, 3] - second[:3, 3]
    return pose
