"""Frames in which nothing is commanded, which Bridge and OpenVLA's copies of LIBERO leave out of the training set."""

from typing import Literal

import numpy as np

from dvla_ros.datasets.trajectory import Trajectory

IdleFrames = Literal["keep", "trim", "drop"]

STILL_M = 0.001
"""An action that moves less (m) commands no way; a tenth of what a slow teleoperator moves in 0.2 s."""
STILL_RAD = 0.01
"""The same for a turn (rad)."""
STILL_GRIPPER = 0.05
"""A gripper command that differs by less from the one before is the same command."""


def idle_frames(actions: np.ndarray) -> np.ndarray:
    """Whether each action commands neither a way, nor a turn, nor the gripper.

    Args:
        actions: Bridge actions `[T, 7]`.

    Returns:
        bool `[T]`. The first frame counts by its way and turn alone.
    """
    still = (np.linalg.norm(actions[:, :3], axis=1) < STILL_M) & (np.abs(actions[:, 3:6]).max(axis=1) < STILL_RAD)
    change = np.abs(np.diff(actions[:, 6], prepend=actions[:1, 6]))
    idle: np.ndarray = still & (change < STILL_GRIPPER)
    return idle


def without_idle_frames(trajectory: Trajectory, idle: IdleFrames) -> Trajectory:
    """The trajectory without idle frames at its ends (`trim`), or without any (`drop`).

    Leaving a frame out moves the arm no less far, because its action was none. The gripper's way takes time in which
    the arm rests: with `drop` a chunk may ask to lift before the fingers have closed.
    """
    if idle == "keep" or not len(trajectory):
        return trajectory
    busy = np.flatnonzero(~idle_frames(trajectory.actions))
    if idle == "trim" and len(busy):
        busy = np.arange(busy[0], busy[-1] + 1)
    return trajectory.select(busy)
