"""Actions of a policy, cut out of a path along which the arm was commanded."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.bridge import delta_between
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.rotation import euler_from_matrix
from dvla_ros.recordings.actions.arm_path import ArmPath
from dvla_ros.recordings.actions.series import Series


@dataclass(frozen=True)
class PathTrack:
    """What was commanded, as the actions that lead along a path.

    The action of a row leads from where the arm was commanded at its due time to where it was at the next one.

    Attributes:
        convention: What was recorded and how it is read, in words.
        path: Where the arm was commanded to be.
        gripper: Opening `[n, 1]`, 0 closed .. 1 open.
        measured: Measured joints `[n, 6]` in rad, about whose end effector increments turn and from which inverse
            kinematics starts; without samples the commanded ones are taken.
        gripper_at: Part of a row's interval at which the gripper is read: late for commands, which begin with the row
            and may take a quarter of a second to get there; 1 for what is measured, which follows.
    """

    convention: str
    path: ArmPath
    gripper: Series
    measured: Series
    gripper_at: float = 0.75

    @property
    def times(self) -> tuple[float, float]:
        """First and last time in seconds."""
        return self.path.times

    def rows(self, stamp: float, dt: float, horizon: int, mode: ControlMode) -> np.ndarray:
        """The actions that were commanded from a time on.

        Args:
            stamp: Due time of the first row in seconds.
            dt: Seconds between rows.
            horizon: H.
            mode: What a row shall mean.

        Returns:
            float64 `[H, 7]`, as in `msg/ActionChunk.msg`; NaN where nothing was recorded.
        """
        grid = stamp + dt * np.arange(horizon + 1)
        gripper = self.gripper.sample(grid[:-1] + self.gripper_at * dt)
        if mode is ControlMode.JOINT_POSITION:
            arm = self._joints(grid[1:])
        elif mode is ControlMode.JOINT_DELTA:
            arm = np.diff(self._joints(grid), axis=0)
        elif mode is ControlMode.EE_POSE:
            arm = np.array([_pose_row(pose) for pose in self.path.poses(grid[1:])])
        else:
            arm = self._increments(grid)
        return np.concatenate([arm.reshape(horizon, 6), gripper], axis=1)

    def _joints(self, times: np.ndarray) -> np.ndarray:
        return self.path.joints(times, self.measured.sample(times))

    def _increments(self, grid: np.ndarray) -> np.ndarray:
        """Bridge increments `[H, 6]` between the poses at `[H + 1]` times."""
        poses, measured = self.path.poses(grid), self.measured.sample(grid[:-1])
        centres = [
            forward(joints) if np.isfinite(joints).all() else pose
            for joints, pose in zip(measured, poses[:-1], strict=True)
        ]
        steps = zip(poses[:-1], poses[1:], centres, strict=True)
        return np.array([delta_between(before, after, centre, 0.0)[:6] for before, after, centre in steps])


def _pose_row(pose: np.ndarray) -> np.ndarray:
    return np.concatenate([pose[:3, 3], euler_from_matrix(pose[:3, :3])])
