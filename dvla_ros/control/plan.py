"""The rows that are being executed, each with the joint waypoints that were planned for it."""

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from dvla_ros.control.action_space import Target
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.motion import Waypoint

TIME_TOLERANCE = 1e-6
"""Seconds; above the rounding of a float64 clock that counts from 1970, far below any control period."""

GRID_TOLERANCE = 1e-3
"""Seconds by which due times of two chunks on one grid may differ."""


@dataclass(frozen=True)
class RowRequest:
    """One action and the interval in which it is to be executed.

    Attributes:
        due: Start of the interval in seconds.
        end: End of the interval in seconds.
        action: float32 `[D]` in physical units, as the chunk has it.
        mode: What the action means.
        key: Epoch, sequence of the chunk and index in it; no two rows share one.
    """

    due: float
    end: float
    action: np.ndarray
    mode: ControlMode
    key: tuple[int, int, int]


@dataclass(frozen=True)
class Row(RowRequest):
    """A row that was planned and may be executed.

    Attributes:
        start: `[6]` rad, where the joints are planned to be at `due`.
        path: Where they shall be afterwards; the last waypoint is that of the target, at `end`.
        target: Where the arm shall be at `end`.
    """

    start: np.ndarray
    path: tuple[Waypoint, ...]
    target: Target

    @property
    def velocity(self) -> np.ndarray:
        """Mean velocity of the joints, `[6]` in rad/s."""
        return np.asarray((self.target.joints - self.start) / (self.end - self.due))

    def joints_at(self, time: float) -> np.ndarray:
        """Where the joints are planned to be at `time` (seconds), `[6]` in rad, straight between the waypoints."""
        times = np.array([self.due, *(waypoint.time for waypoint in self.path)]) - self.due
        joints = np.stack([self.start, *(waypoint.joints for waypoint in self.path)])
        return np.array([np.interp(time - self.due, times, column) for column in joints.T])

    def until(self, time: float) -> "Row":
        """The part of the row before `time` (seconds), which lies in its interval."""
        joints = self.joints_at(time)
        kept = tuple(waypoint for waypoint in self.path if waypoint.time < time - TIME_TOLERANCE)
        target = Target(joints, forward(joints), self.target.gripper)
        return replace(self, end=time, path=(*kept, Waypoint(time, joints)), target=target)


@dataclass(frozen=True)
class Plan:
    """Rows in order of due time. Immutable, so that one thread may execute it while another makes the next one.

    Attributes:
        rows: They do not overlap. The first may be over: the next one starts from its target.
        generation: How often rows had been dropped when it was made; a plan of an older generation is void.
        version: Counts plans.
    """

    rows: tuple[Row, ...] = ()
    generation: int = 0
    version: int = 0
    _dues: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_dues", tuple(row.due for row in self.rows))

    @cached_property
    def end(self) -> float:
        """Time in seconds at which the last row ends; minus infinity without rows."""
        return self.rows[-1].end if self.rows else -np.inf

    def index_at(self, now: float) -> int | None:
        """Index of the row in whose interval `now` (seconds) lies; None between and after the rows."""
        index = bisect_right(self._dues, now + TIME_TOLERANCE) - 1
        if index < 0:
            return None
        if self.rows[index].end > now + TIME_TOLERANCE:
            return index
        return index if self._goes_on_after(index) else None

    def at(self, now: float) -> Row | None:
        """The row in whose interval `now` (seconds) lies."""
        index = self.index_at(now)
        return None if index is None else self.rows[index]

    def rows_left(self, now: float) -> int:
        """Number of rows that are not over at `now` (seconds)."""
        index = bisect_right(self._dues, now + TIME_TOLERANCE) - 1
        over = index >= 0 and self.rows[index].end <= now + TIME_TOLERANCE
        return len(self.rows) - max(index, 0) - int(over)

    def stretch(self, index: int, rows: int, seconds: float, waypoints: int) -> tuple[Row, ...]:
        """The row at `index` and those that follow it without a gap.

        Args:
            index: Of the first row.
            rows: At least so many, if there are.
            seconds: At least so long, if there are.
            waypoints: No more rows when there are so many waypoints.
        """
        last, count = index, len(self.rows[index].path)
        while self._goes_on_after(last) and (
            last + 1 - index < rows
            or (self.rows[last].end - self.rows[index].due < seconds - GRID_TOLERANCE and count < waypoints)
        ):
            last += 1
            count += len(self.rows[last].path)
        return self.rows[index : last + 1]

    def ends_with(self, row: Row) -> bool:
        """Whether nothing follows `row` without a gap."""
        return not self._goes_on_after(bisect_right(self._dues, row.due + TIME_TOLERANCE) - 1)

    def _goes_on_after(self, index: int) -> bool:
        return index + 1 < len(self.rows) and self.rows[index + 1].due - self.rows[index].end <= GRID_TOLERANCE
