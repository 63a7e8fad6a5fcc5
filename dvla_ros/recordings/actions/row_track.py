"""Actions that were recorded as actions: rows, each due at a time."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.plan import GRID_TOLERANCE
from dvla_ros.recordings.actions.path_track import PathTrack
from dvla_ros.recordings.actions.row_path import Rows, path_of_rows
from dvla_ros.recordings.actions.series import Series

_WHOLE = 0.9
"""An interval of which less than this part has rows counts as not recorded."""

INCREMENTS = (ControlMode.JOINT_DELTA, ControlMode.EE_DELTA)


@dataclass(frozen=True)
class RowTrack:
    """What was commanded, row by row.

    On the grid of the rows themselves they come back as they are. On another grid increments are shared out by time:
    each counts for the part of its interval that lies in the one asked for. Absolute rows, and other modes, are cut
    out of the path along which the rows led.

    Attributes:
        convention: What was recorded and how it is read, in words.
        recorded: The rows, in order of due time, without overlap.
        measured: Measured joints `[n, 6]` in rad; may be empty.
    """

    convention: str
    recorded: Rows
    measured: Series

    @property
    def times(self) -> tuple[float, float]:
        """First due time and end of the last row, in seconds."""
        return float(self.recorded.due[0]), float(self.recorded.end[-1])

    def rows(self, stamp: float, dt: float, horizon: int, mode: ControlMode) -> np.ndarray:
        """The actions that were commanded from a time on; see `PathTrack.rows`."""
        if mode is not self.recorded.mode:
            return self._path.rows(stamp, dt, horizon, mode)
        dues = stamp + dt * np.arange(horizon)
        result = self._on_grid(dues, dt)
        missing = np.flatnonzero(np.isnan(result).all(axis=1))
        if len(missing) and mode in INCREMENTS:
            result[missing] = [self._shared(due, due + dt) for due in dues[missing]]
        elif len(missing):
            result[missing] = self._path.rows(stamp, dt, horizon, mode)[missing]
        return result

    @cached_property
    def _path(self) -> PathTrack:
        return path_of_rows(self.recorded, self.measured, self.convention)

    def _on_grid(self, dues: np.ndarray, dt: float) -> np.ndarray:
        """The rows that are due at these times and last `dt`, `[H, 7]`; NaN for the others."""
        rows = self.recorded
        index = np.clip(np.searchsorted(rows.due, dues - GRID_TOLERANCE), 0, len(rows.due) - 1)
        fits = (np.abs(rows.due[index] - dues) <= GRID_TOLERANCE) & (
            np.abs(rows.end[index] - rows.due[index] - dt) <= GRID_TOLERANCE
        )
        return np.where(fits[:, None], rows.actions[index].astype(np.float64), np.nan)

    def _shared(self, start: float, end: float) -> np.ndarray:
        """The increment `[7]` of an interval; the gripper is that of its middle."""
        rows = self.recorded
        first, last = np.searchsorted(rows.end, start, side="right"), np.searchsorted(rows.due, end)
        due, until = rows.due[first:last], rows.end[first:last]
        covered = np.minimum(until, end) - np.maximum(due, start)
        if covered.sum() < _WHOLE * (end - start):
            return np.full(rows.actions.shape[1], np.nan)
        actions = rows.actions[first:last].astype(np.float64)
        parts = covered / rows.duration[first:last]
        middle = int(np.clip(np.searchsorted(due, 0.5 * (start + end), side="right") - 1, 0, None))
        return np.concatenate([parts @ actions[:, :6], actions[middle, 6:]])
