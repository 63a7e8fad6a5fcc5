"""Where rows of actions lead: the path of the targets that they ask for."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.action_space import pose_from_action
from dvla_ros.control.bridge import apply_delta
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.plan import GRID_TOLERANCE
from dvla_ros.errors import RecordingError
from dvla_ros.recordings.actions.arm_path import ArmPath, JointPath, PosePath
from dvla_ros.recordings.actions.path_track import PathTrack
from dvla_ros.recordings.actions.series import Series

_JUST_BEFORE = 1e-4
"""A run of rows starts from where the arm was measured, so long after the target of the run before."""


@dataclass(frozen=True)
class Rows:
    """Actions in order of due time, without overlap.

    Attributes:
        due: float64 `[n]` seconds.
        end: float64 `[n]` seconds, when a row was over or another one took its place.
        duration: float64 `[n]` seconds for which it was meant.
        actions: `[n, 7]` in physical units.
        mode: What they mean.
    """

    due: np.ndarray
    end: np.ndarray
    duration: np.ndarray
    actions: np.ndarray
    mode: ControlMode


def path_of_rows(rows: Rows, measured: Series, convention: str) -> PathTrack:
    """The path of the targets; each is reached, in a straight line, when its row ends.

    A run of rows without a gap starts from the measured joints; increments add up from there.

    Args:
        rows: At least one.
        measured: Measured joints `[n, 6]` in rad.
        convention: Of the track.

    Raises:
        RecordingError: Increments lead somewhere only from where the arm was, and no joint states were recorded.
    """
    if not len(measured) and rows.mode in (ControlMode.JOINT_DELTA, ControlMode.EE_DELTA):
        raise RecordingError(
            f"{convention}: increments can be converted to another control mode only with the joint states of the "
            "same recording, and it has none. Record /<robot>/joint_states too, or evaluate a policy of this mode."
        )
    longest = float(rows.duration.max()) + GRID_TOLERANCE
    path = _joint_path(rows, measured, longest) if _is_joint(rows.mode) else _pose_path(rows, measured, longest)
    gripper = Series(rows.due, rows.actions[:, 6:7].astype(np.float64), hold_s=longest)
    return PathTrack(convention, path, gripper, measured)


def _is_joint(mode: ControlMode) -> bool:
    return mode in (ControlMode.JOINT_POSITION, ControlMode.JOINT_DELTA)


def _joint_path(rows: Rows, measured: Series, longest: float) -> ArmPath:
    knots: list[tuple[float, np.ndarray]] = []
    joints = np.full(6, np.nan)
    for index, action in enumerate(rows.actions.astype(np.float64)[:, :6]):
        if _begins_run(rows, index):
            joints = _measured(measured, rows.due[index])
            knots.append((_start(rows, index), joints))
        target = action if rows.mode is ControlMode.JOINT_POSITION else joints + action
        joints = joints + _executed(rows, index) * (target - joints) if np.isfinite(joints).all() else target
        knots.append((float(rows.end[index]), joints))
    known = [(time, values) for time, values in knots if np.isfinite(values).all()]
    return JointPath(Series.of(known, 6, line_s=longest, hold_s=0.0))


def _pose_path(rows: Rows, measured: Series, longest: float) -> ArmPath:
    knots: dict[float, np.ndarray] = {}
    pose = np.full((4, 4), np.nan)
    for index in range(len(rows.due)):
        action = np.asarray(rows.actions[index], np.float64)
        joints = _measured(measured, rows.due[index])
        if _begins_run(rows, index):
            pose = forward(joints)
            knots[_start(rows, index)] = pose
        pose = _next_pose(pose, joints, action, rows.mode, _executed(rows, index))
        knots[float(rows.end[index])] = pose
    known = {time: pose for time, pose in knots.items() if np.isfinite(pose).all()}
    return PosePath(np.array(list(known)), np.array(list(known.values())).reshape(-1, 4, 4), longest, 0.0)


def _next_pose(
    pose: np.ndarray, joints: np.ndarray, action: np.ndarray, mode: ControlMode, executed: float
) -> np.ndarray:
    """The pose at the end of a row, of which the part `executed` was executed."""
    if mode is ControlMode.EE_POSE:
        return pose_from_action(action)
    part = np.concatenate([executed * action[:6], action[6:]])
    return apply_delta(pose, forward(joints) if np.isfinite(joints).all() else pose, part)[0]


def _begins_run(rows: Rows, index: int) -> bool:
    return index == 0 or bool(rows.due[index] - rows.end[index - 1] > GRID_TOLERANCE)


def _start(rows: Rows, index: int) -> float:
    """When the run of this row starts; never the time of a target before."""
    return float(rows.due[index]) if index == 0 else max(float(rows.due[index]), rows.end[index - 1] + _JUST_BEFORE)


def _executed(rows: Rows, index: int) -> float:
    return float(min(1.0, (rows.end[index] - rows.due[index]) / rows.duration[index]))


def _measured(measured: Series, time: float) -> np.ndarray:
    return measured.sample(np.array([time]))[0] if len(measured) else np.full(6, np.nan)
