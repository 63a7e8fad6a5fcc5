"""The gate for planned rows: the whole path between the targets, not only the targets."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dvla_ros.control.plan import Row
from dvla_ros.control.region import path_region
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.safety_checks import check_magnitude
from dvla_ros.control.verdict import ACCEPTED, Verdict

_SPACING = 0.05
"""Largest step of a joint in rad between two points of the path that are looked at: 2 cm at full reach."""


class PathGate:
    """Checks rows one after another; holds no state, so any thread may ask it.

    Args:
        config: The limits.
    """

    def __init__(self, config: SafetyConfig) -> None:
        self._config = config
        self._region = path_region(config)
        self._velocity = np.array(config.joint_velocity)
        self._acceleration = config.overload * np.array(config.joint_acceleration)
        self._jerk = config.overload * np.array(config.joint_jerk)

    def check(self, rows: Sequence[Row], velocity: np.ndarray) -> tuple[int, Verdict]:
        """Number of leading rows that may be executed, and why the one after them may not.

        Args:
            rows: In order; each starts where the one before ends.
            velocity: `[6]` rad/s, mean velocity of the row that is executed before; zero from rest.
        """
        if not rows:
            return 0, ACCEPTED
        verdicts = self._check_demands(rows, velocity)
        good = next((index for index, verdict in enumerate(verdicts) if not verdict.accepted), len(rows))
        inside, why = self._check_region(rows[:good])
        return (inside, why) if inside < good or good == len(rows) else (good, verdicts[good])

    def _check_region(self, rows: Sequence[Row]) -> tuple[int, Verdict]:
        if not rows:
            return 0, ACCEPTED
        allowed = self._region.outside(rows[0].start)
        samples = [_samples(row) for row in rows]
        owner = np.repeat(np.arange(len(rows)), [len(points) for points in samples])
        index, why = self._region.failing(np.concatenate(samples), allowed)
        return (len(rows), why) if why.accepted else (int(owner[index]), why)

    def _check_demands(self, rows: Sequence[Row], velocity: np.ndarray) -> list[Verdict]:
        """For each row: step, speed, and the acceleration and jerk that its mean velocity asks for."""
        means = np.stack([velocity, *(row.velocity for row in rows)])
        lengths = np.array([row.end - row.due for row in rows])[:, None]
        accelerations = np.diff(means, axis=0) / lengths
        jerks = np.diff(accelerations, axis=0, prepend=accelerations[:1]) / lengths
        return [
            self._check_demand(row, means[index + 1], accelerations[index], jerks[index])
            for index, row in enumerate(rows)
        ]

    def _check_demand(self, row: Row, mean: np.ndarray, acceleration: np.ndarray, jerk: np.ndarray) -> Verdict:
        config, step = self._config, (row.target.joints - row.start)[None]
        for verdict in (
            check_magnitude(step, config.max_joint_step, "joint_step", "rad in one row"),
            check_magnitude(mean[None], self._velocity, "speed", "rad/s"),
            check_magnitude(_speeds(row), config.overload * self._velocity, "speed", "rad/s on a part of the row"),
            check_magnitude(acceleration[None], self._acceleration, "acceleration", "rad/s² asked for"),
            check_magnitude(jerk[None], self._jerk, "jerk", "rad/s³ asked for"),
        ):
            if not verdict.accepted:
                return verdict
        return ACCEPTED


def _points(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Times `[n + 1]` in seconds and joints `[n + 1, 6]` in rad of a row's start and waypoints."""
    times = np.array([row.due, *(waypoint.time for waypoint in row.path)])
    return times, np.stack([row.start, *(waypoint.joints for waypoint in row.path)])


def _speeds(row: Row) -> np.ndarray:
    times, joints = _points(row)
    return np.asarray(np.diff(joints, axis=0) / np.diff(times)[:, None])


def _samples(row: Row) -> np.ndarray:
    """Points `[n, 6]` of the path in joint space, from after its start to its end."""
    parts = []
    for a, b in pairwise(_points(row)[1]):
        pieces = max(1, math.ceil(float(np.max(np.abs(b - a))) / _SPACING))
        parts.append(a + (b - a) * (np.arange(1, pieces + 1) / pieces)[:, None])
    return np.concatenate(parts)
