"""Recorded commands to the end effector: poses, velocities and increments."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.pose_interpolation import matrix_from_quaternion
from dvla_ros.control.rotation import euler_from_matrix, matrix_from_euler
from dvla_ros.control.widowx_streams import stamp_seconds
from dvla_ros.recordings.actions.arm_path import PosePath
from dvla_ros.recordings.actions.joint_source import HOLD_S, LINE_S
from dvla_ros.recordings.actions.path_track import PathTrack
from dvla_ros.recordings.actions.row_path import Rows
from dvla_ros.recordings.actions.row_track import RowTrack
from dvla_ros.recordings.actions.series import Series

_BASE = "base_link"
_TWIST_HOLD_S = 0.1
"""MoveIt Servo halts when no command came for so long (`incoming_command_timeout`)."""
_COLUMNS = 7
_LONGEST_ROW = 2.0
"""A row of a stream of increments lasts until the next one, but no longer than so many usual intervals."""


@dataclass
class PoseSource:
    """Collects the poses of one topic that the end effector was sent to.

    Attributes:
        topic: Of the poses.
    """

    topic: str
    _poses: dict[float, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._poses)

    def add(self, received: float, message: Any) -> bool:
        """A `PoseStamped` message; False when it is not in the base frame, or no pose."""
        p, q = message.pose.position, message.pose.orientation
        values = np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w])
        frame = message.header.frame_id
        if not np.isfinite(values).all() or not values[3:].any() or (frame and not frame.endswith(_BASE)):
            return False
        pose = np.eye(4)
        pose[:3, 3], pose[:3, :3] = values[:3], matrix_from_quaternion(values[3:])
        self._poses[stamp_seconds(message.header.stamp) or received] = pose
        return True

    def track(self, gripper: Series, gripper_words: str, measured: Series) -> PathTrack | None:
        """The path of the poses; None without any."""
        if not self._poses:
            return None
        times = np.array(sorted(self._poses))
        path = PosePath(times, np.array([self._poses[time] for time in times.tolist()]), LINE_S, HOLD_S)
        return PathTrack(f"end-effector poses of {self.topic}, {gripper_words}", path, gripper, measured)


@dataclass
class TwistSource:
    """Collects the velocities of one topic: along the axes of the base, or of the end effector by `frame_id`.

    Attributes:
        topic: Of the velocities.
    """

    topic: str
    _twists: dict[float, tuple[np.ndarray, bool]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._twists)

    def add(self, received: float, message: Any) -> bool:
        """A `TwistStamped` message; False when a number is not finite."""
        linear, angular = message.twist.linear, message.twist.angular
        twist = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
        if not np.isfinite(twist).all():
            return False
        frame = message.header.frame_id
        self._twists[stamp_seconds(message.header.stamp) or received] = (twist, not frame or frame.endswith(_BASE))
        return True

    def track(self, gripper: Series, gripper_words: str, measured: Series) -> RowTrack | None:
        """Each velocity as the increment that it makes until the next one; None without any."""
        if not self._twists:
            return None
        times = np.array(sorted(self._twists))
        ends = np.append(np.minimum(times[1:], times[:-1] + _TWIST_HOLD_S), times[-1] + _usual(times, _TWIST_HOLD_S))
        actions = [
            self._increment(time, end - time, measured) for time, end in zip(times.tolist(), ends.tolist(), strict=True)
        ]
        openings = gripper.sample(times) if len(gripper) else np.full((len(times), 1), np.nan)
        rows = Rows(times, ends, ends - times, np.concatenate([actions, openings], axis=1), ControlMode.EE_DELTA)
        return RowTrack(
            f"end-effector velocities of {self.topic} times their duration, {gripper_words}", rows, measured
        )

    def _increment(self, time: float, duration: float, measured: Series) -> np.ndarray:
        twist, in_base = self._twists[time]
        step = duration * twist
        if not in_base:
            axes = forward(measured.sample(np.array([time]))[0])[:3, :3] if len(measured) else np.full((3, 3), np.nan)
            step = np.concatenate([axes @ step[:3], axes @ step[3:]])
        return np.concatenate([step[:3], euler_from_matrix(_turn(step[3:]))])


@dataclass
class DeltaSource:
    """Collects arrays of seven Bridge numbers of one topic.

    Attributes:
        topic: Of the arrays.
    """

    topic: str
    _rows: dict[float, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, received: float, message: Any) -> bool:
        """A `Float64MultiArray`; False when it does not hold seven finite numbers."""
        values = np.asarray(message.data, np.float64)
        if values.shape != (_COLUMNS,) or not np.isfinite(values).all():
            return False
        self._rows[received] = values
        return True

    def track(self, measured: Series) -> RowTrack | None:
        """Each array as the action from its arrival on, until the next one; None without any."""
        if not self._rows:
            return None
        times = np.array(sorted(self._rows))
        usual = _usual(times, 0.2)
        ends = np.append(np.minimum(times[1:], times[:-1] + _LONGEST_ROW * usual), times[-1] + usual)
        actions = np.array([self._rows[time] for time in times.tolist()])
        rows = Rows(times, ends, ends - times, actions, ControlMode.EE_DELTA)
        return RowTrack(f"Bridge increments of {self.topic}, each until the next one", rows, measured)


def _usual(times: np.ndarray, otherwise: float) -> float:
    """The usual interval in seconds."""
    return float(np.median(np.diff(times))) if len(times) > 1 else otherwise


def _turn(vector: np.ndarray) -> np.ndarray:
    """Rotation matrix of a rotation vector `[3]` in rad."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9 or not np.isfinite(angle):
        return matrix_from_euler(vector)
    return matrix_from_quaternion(np.append(np.sin(0.5 * angle) * vector / angle, np.cos(0.5 * angle)))
