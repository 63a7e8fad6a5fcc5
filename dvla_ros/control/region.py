"""Where the arm may be: joint ranges and the box of the end effector, with room to spare or without."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.kinematics import position_of, positions_of
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.verdict import ACCEPTED, Verdict, rejected

_ROUNDING = 1e-6
"""Slack of every comparison: rad or metres."""

_PATH_ROOM, _MOTION_ROOM = 0.01, 0.001
"""rad: waypoints keep more distance from a joint limit than motion between them, and that more than commands."""

_PATH_SLACK, _MOTION_SLACK = 0.5, 0.75
"""Parts of the slack of the box that waypoints, and motion between them, may use."""


@dataclass(frozen=True)
class Outside:
    """How far out the arm may be, because it is now.

    Attributes:
        joints: `[6]` rad beyond the range, zero inside.
        box: Metres outside the box, zero inside.
    """

    joints: np.ndarray
    box: float


class Region:
    """Joint ranges and box. An arm that is outside may go anywhere that is not further out. Any thread may ask.

    Args:
        config: The limits.
        room: Distance in rad to keep beyond the configured margin.
        slack: Part of the configured slack of the box that may be used.
    """

    def __init__(self, config: SafetyConfig, room: float = 0.0, slack: float = 1.0) -> None:
        margin = config.joint_margin + room
        self._lower, self._upper = np.array(config.joint_lower) + margin, np.array(config.joint_upper) - margin
        self._box, self._slack = config.workspace, config.workspace_slack * slack

    def outside(self, joints: np.ndarray) -> Outside:
        """How far outside the joints `[6]` (rad) and the end effector are now."""
        beyond = np.maximum(np.maximum(self._lower - joints, joints - self._upper), 0.0)
        return Outside(beyond, self._box.distance(positions_of(joints[None])[0]))

    def check(self, joints: np.ndarray, allowed: Outside) -> Verdict:
        """Joints `[n, 6]` in rad one after another: all of them inside, or not further out than `allowed`."""
        return self.failing(joints, allowed)[1]

    def check_one(self, joints: np.ndarray, allowed: Outside) -> Verdict:
        """The same for joints `[6]` in rad; quick where they are inside."""
        if ((joints >= self._lower) & (joints <= self._upper)).all() and self._box.contains(*position_of(joints)):
            return ACCEPTED
        return self.check(joints[None], allowed)

    def failing(self, joints: np.ndarray, allowed: Outside) -> tuple[int, Verdict]:
        """Index of the first of the joints `[n, 6]` that `check` refuses, n if there is none, and why.

        What is not a number is outside: each comparison asks whether it is inside.
        """
        beyond = np.maximum(self._lower - joints, joints - self._upper) - allowed.joints
        points = positions_of(joints)
        off = self._box.distances(points)
        far = ~(off <= max(allowed.box, self._slack) + _ROUNDING)
        bad = ~(beyond <= _ROUNDING).all(axis=1) | far
        if not bad.any():
            return len(joints), ACCEPTED
        index = int(np.argmax(bad))
        if far[index]:
            where = f"The end effector at {points[index].round(4).tolist()} m"
            return index, rejected("workspace", f"{where} is {off[index]:.4f} m outside the box.")
        return index, self._joint_rejection(joints[index], int(np.argmax(beyond[index])))

    def clip(self, joints: np.ndarray) -> np.ndarray:
        """The joints `[6]` in rad, each within its range."""
        return np.clip(joints, self._lower, self._upper)

    def _joint_rejection(self, joints: np.ndarray, joint: int) -> Verdict:
        limits = f"{self._lower[joint]:.4f}..{self._upper[joint]:.4f}"
        return rejected("joint_limit", f"Joint {joint} at {joints[joint]:.4f} rad is outside {limits}.")


def path_region(config: SafetyConfig) -> Region:
    """Where waypoints may be: with room for the smooth motion between them."""
    return Region(config, _PATH_ROOM, _PATH_SLACK)


def motion_region(config: SafetyConfig) -> Region:
    """Where motion may lead as it is planned: with room for what lies between the samples that are looked at."""
    return Region(config, _MOTION_ROOM, _MOTION_SLACK)
