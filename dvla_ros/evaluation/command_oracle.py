"""Judges recorded commands against the limits they were to keep; knows nothing of how they were made."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.kinematics import positions_of
from dvla_ros.control.safety import SafetyConfig

_RELATIVE = 1e-3
"""Part by which a derivative may exceed its limit."""

_ROUNDING = 1e-8
"""rad: positions are that exact; in a k-th difference it counts 2^k / dt^k times. Also the slack of every range."""

_OUTSIDE = 2e-5
"""rad and metres by which an arm that began outside may get further out: its way is looked at every 2 ms."""

_SHORTEST_S = 1e-3
"""Differences are not taken over ticks that are closer in seconds: rounding is all that is left of them."""


@dataclass(frozen=True)
class Violation:
    """A command that should not have been sent.

    Attributes:
        kind: Short word to count by.
        time: Of the command, in seconds.
        value: The wrong value.
        limit: What it should have kept.
    """

    kind: str
    time: float
    value: float
    limit: float


@dataclass(frozen=True)
class CommandRecord:
    """Commands of one arm, from a start or reset on.

    Attributes:
        times: `[n]` seconds, when each was sent; need not increase.
        arms: `[n, 6]` rad.
        velocities: `[n, 6]` rad/s.
        grippers: `[n]` 0..1.
        measured: `[6]` rad, where the arm was at the first one.
    """

    times: np.ndarray
    arms: np.ndarray
    velocities: np.ndarray
    grippers: np.ndarray
    measured: np.ndarray


class CommandOracle:
    """Finds what is wrong with a record.

    The k-th divided difference of smooth positions, times k!, is a mean of their k-th derivative, at any spacing of the
    ticks. So the differences keep the limits of velocity, acceleration and jerk wherever the motion does. They are
    taken over stretches without a gap: after one, the command must still be where it was.

    Joints and the end effector must be in their ranges, or no further out than where the arm was found at the start.

    Args:
        limits: What to keep.
        max_gap_s: A longer pause between two ticks, or a step back in time, is a gap.
    """

    def __init__(self, limits: SafetyConfig, max_gap_s: float) -> None:
        self._limits, self._max_gap_s = limits, max_gap_s
        self._lower = np.array(limits.joint_lower) + limits.joint_margin
        self._upper = np.array(limits.joint_upper) - limits.joint_margin
        self._box = np.array([limits.workspace_lower, limits.workspace_upper])

    def violations(self, record: CommandRecord) -> list[Violation]:
        """Every kind of violation with the value that is furthest out, at most one of each kind; in no order."""
        numbers = np.column_stack([record.times, record.arms, record.velocities, record.grippers])
        if not np.isfinite(numbers).all():
            index = int(np.argmin(np.isfinite(numbers).all(axis=1)))
            return [Violation("not_finite", float(record.times[index]), float("nan"), 0.0)]
        return [
            *self._range_violations(record),
            *self._gripper_violations(record),
            *self._gap_violations(record),
            *(found for stretch in self._stretches(record) for found in self._motion_violations(record, stretch)),
        ]

    def _range_violations(self, record: CommandRecord) -> list[Violation]:
        found = _worst("start", record.times[:1], np.abs(record.arms[:1] - record.measured), np.zeros(1))
        beyond = np.maximum(np.maximum(self._lower - record.arms, record.arms - self._upper), 0.0)
        found += _worst("joint_range", record.times, beyond, beyond[:1] + _OUTSIDE * (beyond[:1] > 0.0))
        points = positions_of(record.arms)
        off = np.linalg.norm(points - np.clip(points, *self._box), axis=1)[:, None]
        found += _worst("workspace", record.times, off, np.maximum(off[:1] + _OUTSIDE, self._limits.workspace_slack))
        speed = np.array(self._limits.joint_velocity) * (1.0 + _RELATIVE)
        return found + _worst("velocity_field", record.times, np.abs(record.velocities), speed)

    def _gripper_violations(self, record: CommandRecord) -> list[Violation]:
        grippers = record.grippers[:, None]
        found = _worst("gripper_range", record.times, np.maximum(grippers - 1.0, -grippers), np.zeros(1))
        elapsed = np.maximum(np.diff(record.times), 0.0)[:, None]
        limit = elapsed / self._limits.gripper_s * (1.0 + _RELATIVE)
        return found + _worst("gripper_speed", record.times[1:], np.abs(np.diff(grippers, axis=0)), limit)

    def _gap_violations(self, record: CommandRecord) -> list[Violation]:
        """Across a gap the arm must not move more than in the longest pause that is none."""
        gaps = np.flatnonzero(self._is_gap(record.times))
        limit = np.array(self._limits.joint_velocity) * self._max_gap_s * (1.0 + _RELATIVE)
        steps = np.abs(record.arms[gaps + 1] - record.arms[gaps])
        return _worst("gap_step", record.times[gaps + 1], steps, limit)

    def _motion_violations(self, record: CommandRecord, stretch: np.ndarray) -> list[Violation]:
        times, differences = record.times[stretch], record.arms[stretch]
        limits, found = self._limits, []
        named = (("velocity", limits.joint_velocity), ("acceleration", limits.joint_acceleration))
        for order, (kind, limit) in enumerate((*named, ("jerk", limits.joint_jerk)), start=1):
            if len(times) <= order:
                break
            span = (times[order:] - times[:-order])[:, None] / order
            differences = np.diff(differences, axis=0) / span
            shortest = np.min(np.diff(times))
            allowed = np.array(limit) * (1.0 + _RELATIVE) + _ROUNDING * (2.0 / shortest) ** order
            found += _worst(kind, times[order:], np.abs(differences), allowed)
        return found

    def _stretches(self, record: CommandRecord) -> list[np.ndarray]:
        """Indices of the commands between gaps, without those that follow the one before too closely."""
        ends = np.flatnonzero(self._is_gap(record.times)) + 1
        return [_spaced(record.times, part) for part in np.split(np.arange(len(record.times)), ends)]

    def _is_gap(self, times: np.ndarray) -> np.ndarray:
        elapsed = np.diff(times)
        return np.asarray((elapsed < 0.0) | (elapsed > self._max_gap_s))


def _spaced(times: np.ndarray, indices: np.ndarray) -> np.ndarray:
    kept: list[int] = []
    for index in indices:
        if not kept or times[index] - times[kept[-1]] >= _SHORTEST_S:
            kept.append(int(index))
    return np.array(kept, int)


def _worst(kind: str, times: np.ndarray, values: np.ndarray, limit: np.ndarray) -> list[Violation]:
    """The value `[n, m]` that exceeds its limit (of a shape that fits) most, if any does."""
    if values.size == 0:
        return []
    excess = values - limit
    row, column = np.unravel_index(np.argmax(excess), excess.shape)
    if not excess[row, column] > _ROUNDING:
        return []
    allowed = float(np.broadcast_to(limit, values.shape)[row, column])
    return [Violation(kind, float(times[row]), float(values[row, column]), allowed)]
