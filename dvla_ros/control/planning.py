"""From rows to joint waypoints, in the thread that accepts a chunk: the control thread solves no kinematics."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dvla_ros.control.action_space import Target, next_target
from dvla_ros.control.alignment import shifted
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import WidowXKinematics, forward
from dvla_ros.control.motion import Waypoint
from dvla_ros.control.path_gate import PathGate
from dvla_ros.control.plan import GRID_TOLERANCE, Row, RowRequest
from dvla_ros.control.pose_interpolation import pose_between
from dvla_ros.control.rotation import rotation_angle
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.verdict import ACCEPTED, Verdict, first_rejection, rejected
from dvla_ros.errors import ActionError, KinematicsError

_MAX_PIECES = 4
_PIECE_TRANSLATION, _PIECE_ROTATION = 0.02, 0.1
"""Metres and radians: no waypoints on the way of the end effector are closer than that."""

_BOW_TRANSLATION, _BOW_ROTATION = 2e-3, 0.02
"""Metres and radians by which the way in joint space may bow out from the straight way of the end effector."""


@dataclass(frozen=True)
class Beginning:
    """From where rows are planned.

    Attributes:
        target: Where the arm is planned to be when the first row begins.
        centre: `[3]` metres: where the end effector will be measured then; the first increment turns about it.
        velocity: `[6]` rad/s, mean velocity of the row before; zero from rest.
        offset: See `alignment.seam_offset`; None when there is nothing to align.
    """

    target: Target
    centre: np.ndarray
    velocity: np.ndarray
    offset: np.ndarray | None = None


@dataclass(frozen=True)
class Planned:
    """What became of the rows.

    Attributes:
        rows: Leading rows that may be executed.
        why: Why the row after them may not; accepted when all may.
    """

    rows: tuple[Row, ...]
    why: Verdict


class RowPlanner:
    """Plans rows one after another. Belongs to one thread, since the solver keeps working memory.

    Args:
        kinematics: Used by nothing else.
        config: The limits.
        align_fade_s: Time in which a seam's offset fades out; 0 leaves absolute targets as they are.
    """

    def __init__(self, kinematics: WidowXKinematics, config: SafetyConfig, align_fade_s: float) -> None:
        self._kinematics, self._workspace = kinematics, config.workspace
        self._gate, self._fade = PathGate(config), align_fade_s

    def plan(self, requests: Sequence[RowRequest], begin: Beginning) -> Planned:
        """Targets, waypoints and checks for `requests`, as far as they may be executed."""
        coarse, unreachable = self._coarse(requests, begin)
        rows, lost = self._fine(coarse, begin)
        good, why = self._gate.check(rows, begin.velocity)
        return Planned(tuple(rows[:good]), first_rejection(why, lost, unreachable))

    def _coarse(self, requests: Sequence[RowRequest], begin: Beginning) -> tuple[list[Row], Verdict]:
        """Rows with one waypoint each, up to the first that cannot be reached."""
        rows: list[Row] = []
        previous, measured = begin.target, np.eye(4)
        measured[:3, 3] = begin.centre
        for request in requests:
            action = self._aligned(request, requests[0], begin.offset)
            try:
                target = next_target(action, request.mode, previous, measured, self._kinematics, self._workspace)
            except (KinematicsError, ActionError) as error:
                return rows, rejected("unreachable", f"Row {request.key[2]}: {error}")
            path = (Waypoint(request.end, target.joints),)
            rows.append(_row(request, previous.joints, path, target))
            previous, measured = target, target.pose
        return rows, ACCEPTED

    def _aligned(self, request: RowRequest, first: RowRequest, offset: np.ndarray | None) -> np.ndarray:
        """The row's action, with what is left of the seam's offset at its end; absolute targets of one chunk only."""
        since = request.end - first.due
        if offset is None or request.key[:2] != first.key[:2] or since >= self._fade:
            return request.action
        return shifted(request.action, request.mode, offset, 1.0 - since / self._fade)

    def _fine(self, rows: Sequence[Row], begin: Beginning) -> tuple[list[Row], Verdict]:
        """The same rows with waypoints on the straight way, up to the first that has none."""
        fine: list[Row] = []
        pose = begin.target.pose
        for index, row in enumerate(rows):
            before = rows[index - 1] if index else None
            after = rows[index + 1] if index + 1 < len(rows) else None
            try:
                fine.append(self._straight(pose, row, _slopes(row, before, after, begin)))
            except KinematicsError as error:
                return fine, rejected("unreachable", f"On the way of row {row.key[2]}: {error}")
            pose = row.target.pose
        return fine, ACCEPTED

    def _straight(self, start: np.ndarray, row: Row, slopes: tuple[float, float]) -> Row:
        """The row with waypoints at equal times on the straight way from pose `start` `[4, 4]` to its target.

        Args:
            start: Pose at the start of the row.
            row: Has one waypoint, at its end.
            slopes: Speed at its start and end as parts of the mean, so that the waypoints ask for smooth motion.
        """
        pieces, joints, path = _pieces(start, row), row.start, []
        for index in range(1, pieces):
            part = index / pieces
            joints = self._kinematics.inverse(pose_between(start, row.target.pose, _progress(part, *slopes)), joints)
            path.append(Waypoint(row.due + part * (row.end - row.due), joints))
        return replace(row, path=(*path, *row.path)) if path else row


def _row(request: RowRequest, start: np.ndarray, path: tuple[Waypoint, ...], target: Target) -> Row:
    return Row(request.due, request.end, request.action, request.mode, request.key, start, path, target)


def _pieces(start: np.ndarray, row: Row) -> int:
    """Into how many pieces the way of the end effector from pose `start` `[4, 4]` is divided.

    One where the way in joint space is straight enough, as nearly all rows of 5 cm are: each waypoint more asks the
    motion for more acceleration and jerk.
    """
    if row.mode in (ControlMode.JOINT_POSITION, ControlMode.JOINT_DELTA):
        return 1
    middle, wanted = forward(0.5 * (row.start + row.target.joints)), pose_between(start, row.target.pose, 0.5)
    bow = float(np.linalg.norm(middle[:3, 3] - wanted[:3, 3]))
    if bow <= _BOW_TRANSLATION and rotation_angle(middle[:3, :3], wanted[:3, :3]) <= _BOW_ROTATION:
        return 1
    distance = float(np.linalg.norm(row.target.pose[:3, 3] - start[:3, 3])) / _PIECE_TRANSLATION
    angle = rotation_angle(start[:3, :3], row.target.pose[:3, :3]) / _PIECE_ROTATION
    return min(max(math.ceil(max(distance, angle) - 1e-6), 1), _MAX_PIECES)


def _slopes(row: Row, before: Row | None, after: Row | None, begin: Beginning) -> tuple[float, float]:
    """Speed at the start and at the end of a row as parts of its mean speed, by the rows around it."""
    mean, length = row.velocity, row.end - row.due
    entering = begin.velocity if before is None else _joined(before, row) * before.velocity
    leaving = np.zeros_like(mean) if after is None else _joined(row, after) * after.velocity
    total = float(mean @ mean)
    if total * length**2 < 1e-12:
        return 0.0, 0.0
    start, end = (float(_passing(a, b) @ mean) / total for a, b in ((entering, mean), (mean, leaving)))
    return start, end


def _joined(a: Row, b: Row) -> float:
    """1 when `b` follows `a` without a gap, else 0."""
    return float(b.due - a.end <= GRID_TOLERANCE)


def _progress(part: float, start: float, end: float) -> float:
    """Part of the way at `part` of the time: the cubic with these slopes at its ends, monotone for slopes in 0..3."""
    return part * (start + part * (3.0 - 2.0 * start - end + part * (start + end - 2.0)))


def _passing(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Velocity at which to pass from one mean velocity to the next, `[6]` rad/s each, so that no joint overshoots.

    Harmonic mean where both have one sign, zero where a joint turns round (Fritsch and Butland, "A method for
    constructing local monotone piecewise cubic interpolants", 1984).
    """
    same_way = before * after > 0.0
    total = np.where(same_way, before + after, 1.0)
    return np.where(same_way, 2.0 * before * after / total, 0.0)
