"""Where a chunk leads the end effector, whatever its rows mean."""

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.kinematics import forward, positions_of
from dvla_ros.evaluation.predicted_path import predicted_path


def chunk_path(chunk: ActionChunk, joints: np.ndarray) -> np.ndarray:
    """Positions of the end effector before the chunk and after each of its rows.

    Args:
        chunk: In any control mode; its first six columns are those of the arm.
        joints: `[6]` arm joints in radians commanded (or measured) when its first row begins.

    Returns:
        float64 `[H + 1, 3]` in metres, base frame.
    """
    actions = chunk.actions.astype(np.float64)
    if chunk.mode is ControlMode.EE_DELTA:
        return predicted_path(actions, forward(joints))
    if chunk.mode is ControlMode.EE_POSE:
        return np.vstack([forward(joints)[:3, 3], actions[:, :3]])
    targets = actions[:, :6] if chunk.mode is ControlMode.JOINT_POSITION else joints + np.cumsum(actions[:, :6], axis=0)
    return positions_of(np.vstack([joints, targets]))


def closing_rows(chunk: ActionChunk) -> np.ndarray:
    """Indices of the rows that close the gripper, or of the first row of a chunk that keeps it closed."""
    closed = chunk.actions[:, -1] < 0.5
    before = np.concatenate([[False], closed[:-1]])
    return np.flatnonzero(closed & ~before)
