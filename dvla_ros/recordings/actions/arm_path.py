"""Where the arm was commanded to be over time: joints, or poses of the end effector."""

from typing import Protocol

import numpy as np

from dvla_ros.control.kinematics import WidowXKinematics, forward
from dvla_ros.control.pose_interpolation import matrix_from_quaternion, quaternion_from_matrix
from dvla_ros.control.widowx import NEUTRAL
from dvla_ros.errors import KinematicsError
from dvla_ros.recordings.actions.series import Series


class ArmPath(Protocol):
    """The arm at any time, as joints and as poses; NaN where nothing was recorded."""

    @property
    def times(self) -> tuple[float, float]:
        """First and last time in seconds."""

    def joints(self, times: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Joints float64 `[m, 6]` in rad at times `[m]`; the search for them starts from `seeds` `[m, 6]`."""

    def poses(self, times: np.ndarray) -> np.ndarray:
        """Poses of the end effector in the base frame, float64 `[m, 4, 4]`, at times `[m]`."""


class JointPath:
    """A path of the arm's joints.

    Args:
        series: `[n, 6]` rad.
    """

    def __init__(self, series: Series) -> None:
        self._series = series

    @property
    def times(self) -> tuple[float, float]:
        """First and last time in seconds."""
        return float(self._series.times[0]), float(self._series.times[-1])

    def joints(self, times: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Joints float64 `[m, 6]` in rad; needs no seeds."""
        return self._series.sample(times)

    def poses(self, times: np.ndarray) -> np.ndarray:
        """Poses float64 `[m, 4, 4]` by forward kinematics."""
        return np.array([forward(joints) for joints in self._series.sample(times)]).reshape(-1, 4, 4)


class PosePath:
    """A path of the end effector.

    Args:
        times: float64 `[n]` in seconds, strictly increasing.
        poses: float64 `[n, 4, 4]` in the base frame.
        line_s: As in `Series`.
        hold_s: As in `Series`.
    """

    def __init__(self, times: np.ndarray, poses: np.ndarray, line_s: float, hold_s: float) -> None:
        rotations = _continuous(np.array([quaternion_from_matrix(pose[:3, :3]) for pose in poses]).reshape(-1, 4))
        self._series = Series(times, np.concatenate([poses[:, :3, 3], rotations], axis=1), line_s, hold_s)
        self._kinematics: WidowXKinematics | None = None

    @property
    def times(self) -> tuple[float, float]:
        """First and last time in seconds."""
        return float(self._series.times[0]), float(self._series.times[-1])

    def poses(self, times: np.ndarray) -> np.ndarray:
        """Poses float64 `[m, 4, 4]`; between two samples the quaternions are mixed, which is exact for small turns."""
        values = self._series.sample(times)
        poses = np.tile(np.eye(4), (len(values), 1, 1))
        poses[:, :3, 3] = values[:, :3]
        poses[:, :3, :3] = [matrix_from_quaternion(quaternion) for quaternion in values[:, 3:]]
        return poses

    def joints(self, times: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Joints float64 `[m, 6]` in rad by inverse kinematics; NaN where a pose cannot be reached.

        Args:
            times: `[m]` in seconds.
            seeds: `[m, 6]` measured joints; NaN where they are not known.
        """
        self._kinematics = self._kinematics or WidowXKinematics()
        rows = [self._inverse(pose, seed) for pose, seed in zip(self.poses(times), seeds, strict=True)]
        return np.array(rows).reshape(-1, 6)

    def _inverse(self, pose: np.ndarray, seed: np.ndarray) -> np.ndarray:
        assert self._kinematics is not None
        try:
            return self._kinematics.inverse(pose, seed if np.isfinite(seed).all() else NEUTRAL)
        except KinematicsError:
            return np.full(6, np.nan)


def _continuous(quaternions: np.ndarray) -> np.ndarray:
    """The same rotations `[n, 4]`, each with the sign that is nearer to the one before."""
    if len(quaternions) < 2:
        return quaternions
    turned = np.sign(np.sum(quaternions[1:] * quaternions[:-1], axis=1))
    signs = np.concatenate([[1.0], np.cumprod(np.where(turned < 0.0, -1.0, 1.0))])
    return quaternions * signs[:, None]
