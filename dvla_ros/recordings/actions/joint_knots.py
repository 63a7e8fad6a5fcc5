"""Joint commands as knots of a path: what a joint_trajectory_controller would follow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from dvla_ros.control.widowx_streams import stamp_seconds
from dvla_ros.recordings.actions.series import Series

_SPACING_S = 0.02
"""Knots between the points of a trajectory: straight lines between them miss its cubics by less than gears play."""


@dataclass
class JointKnots:
    """Where joints were commanded to be, message after message; a new message replaces what was still to come.

    Attributes:
        names: The joints, in the order of the columns.
    """

    names: Sequence[str]
    _times: list[float] = field(default_factory=list)
    _values: list[np.ndarray] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._times)

    def hold(self, received: float, positions: Sequence[float] | np.ndarray) -> None:
        """Go to `[J]` positions at once, and stay there."""
        self._forget_after(received)
        self._append(received, np.asarray(positions, np.float64))

    def follow(self, received: float, message: Any) -> bool:
        """Follow a `JointTrajectory`; False when it does not name these joints, or is no trajectory."""
        names, points = list(message.joint_names), list(message.points)
        if not points or any(name not in names for name in self.names):
            return False
        columns = [names.index(name) for name in self.names]
        if any(len(point.positions) != len(names) for point in points):
            return False
        start = stamp_seconds(message.header.stamp) or received
        times = np.array([start + stamp_seconds(point.time_from_start) for point in points])
        positions = np.array([np.asarray(point.positions, np.float64)[columns] for point in points])
        velocities = [np.asarray(point.velocities, np.float64) for point in points]
        slopes = np.array([v[columns] for v in velocities]) if all(len(v) == len(names) for v in velocities) else None
        if (np.diff(times) <= 0.0).any() or not np.isfinite(positions).all():
            return False
        self._replace(received, times, positions, slopes)
        return True

    def series(self, line_s: float, hold_s: float) -> Series:
        """The path as samples `[n, J]`."""
        return Series.of(list(zip(self._times, self._values, strict=True)), len(self.names), line_s, hold_s)

    def _replace(self, received: float, times: np.ndarray, positions: np.ndarray, slopes: np.ndarray | None) -> None:
        self._forget_after(received)
        if times[0] > received + _SPACING_S and self._times:  # it starts from where the one before had come to
            if self._times[-1] < received:
                self._append(received, self._values[-1])
            times, positions = np.insert(times, 0, received), np.insert(positions, 0, self._values[-1], axis=0)
            slopes = None if slopes is None else np.insert(slopes, 0, 0.0, axis=0)
        dense_times, dense = _dense(times, positions, slopes)
        for time, value in zip(dense_times, dense, strict=True):
            if time > received or not self._times:
                self._append(float(time), value)

    def _forget_after(self, time: float) -> None:
        """Drop the knots after `time`, but stay on the way to the first of them until then."""
        dropped: tuple[float, np.ndarray] | None = None
        while self._times and self._times[-1] > time:
            dropped = self._times.pop(), self._values.pop()
        if dropped is not None and self._times:
            weight = (time - self._times[-1]) / (dropped[0] - self._times[-1])
            self._append(time, (1.0 - weight) * self._values[-1] + weight * dropped[1])

    def _append(self, time: float, value: np.ndarray) -> None:
        self._times.append(time)
        self._values.append(value)


def _dense(times: np.ndarray, positions: np.ndarray, slopes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The same path with knots at most `_SPACING_S` apart: lines, or cubics where velocities are given."""
    if len(times) == 1:
        return times, positions
    pieces = [times[:1]]
    for start, end in pairwise(times.tolist()):
        pieces.append(np.linspace(start, end, max(1, int(np.ceil((end - start) / _SPACING_S))) + 1)[1:])
    dense = np.concatenate(pieces)
    index = np.clip(np.searchsorted(times, dense, side="right") - 1, 0, len(times) - 2)
    span = (times[index + 1] - times[index])[:, None]
    s = (dense - times[index])[:, None] / span
    start, end = positions[index], positions[index + 1]
    if slopes is None:
        return dense, (1.0 - s) * start + s * end
    cubic = (1 + 2 * s) * (1 - s) ** 2 * start + s**2 * (3 - 2 * s) * end
    return dense, cubic + span * (s * (1 - s) ** 2 * slopes[index] + s**2 * (s - 1) * slopes[index + 1])
