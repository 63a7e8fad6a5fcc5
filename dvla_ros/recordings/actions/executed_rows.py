"""Which rows of the chunks of a recording were executed: chunks merged as `chunker_node` merges them."""

from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.plan import GRID_TOLERANCE, TIME_TOLERANCE
from dvla_ros.control.timeline import SameAction, executed_rows, first_row
from dvla_ros.recordings.actions.row_path import Rows


@dataclass(frozen=True)
class _Row:
    """One action `[D]`, due at `due` and meant for `duration` seconds; another one took its place at `end`."""

    due: float
    end: float
    duration: float
    action: np.ndarray


class ExecutedRows:
    """The rows of chunks, in the order in which they arrived, merged by due time; see `control.timeline`.

    The newest chunk wins, but not for rows that were over when it arrived, nor for its frozen rows: those were being
    executed already. A new epoch drops the rows still to come, and chunks of older epochs count for nothing.

    Args:
        mode: The control mode; chunks of another one are passed over.
    """

    def __init__(self, mode: ControlMode) -> None:
        self._mode, self._same = mode, SameAction()
        self._rows: list[_Row] = []
        self._newest = (-1, -1)

    def take(self, chunk: ActionChunk, now: float) -> bool:
        """A chunk arrived at `now` seconds; False when nothing of it is executed."""
        key = (chunk.epoch, chunk.sequence)
        first = first_row(chunk, now)
        if chunk.mode is not self._mode or key <= self._newest or first is None:
            return False
        if chunk.epoch != self._newest[0]:
            self.drop(now)
        self._newest = key
        executed = executed_rows(chunk)
        while first < min(chunk.frozen_steps, executed) and self._has(chunk, first):
            first += 1
        self._replace(chunk, first, executed)
        return True

    def drop(self, now: float) -> None:
        """Rows that were still to come at `now` seconds were dropped: by a hold, a fault or a reset."""
        self._cut(now)

    def rows(self) -> Rows:
        """All rows in order of due time."""
        return Rows(
            due=np.array([row.due for row in self._rows]),
            end=np.array([row.end for row in self._rows]),
            duration=np.array([row.duration for row in self._rows]),
            actions=np.array([row.action for row in self._rows]).reshape(len(self._rows), -1)
            if self._rows
            else np.empty((0, 0)),
            mode=self._mode,
        )

    def _replace(self, chunk: ActionChunk, first: int, executed: int) -> None:
        """Rows `first` to `executed` of the chunk, in place of all others in their time."""
        start, end = _due(chunk, first), _due(chunk, executed)
        behind = [row for row in self._rows[self._index(end - TIME_TOLERANCE) :]]
        self._cut(start)
        self._rows += [
            _Row(_due(chunk, index), _due(chunk, index + 1), chunk.dt, chunk.actions[index])
            for index in range(first, executed)
        ]
        self._rows += behind

    def _cut(self, time: float) -> None:
        """Take away what begins at `time` or later, and the rest of the row before."""
        del self._rows[self._index(time - GRID_TOLERANCE) :]
        if self._rows and self._rows[-1].end > time + GRID_TOLERANCE:
            self._rows[-1] = replace(self._rows[-1], end=time)

    def _index(self, time: float) -> int:
        """Index of the first row that is due at `time` or later."""
        return bisect_left(self._rows, time, key=lambda row: row.due)

    def _has(self, chunk: ActionChunk, index: int) -> bool:
        """Whether this row of the chunk is being executed already."""
        due = _due(chunk, index)
        at = self._index(due - GRID_TOLERANCE)
        return (
            at < len(self._rows)
            and abs(self._rows[at].due - due) <= GRID_TOLERANCE
            and self._same(self._rows[at].action, chunk.actions[index], chunk.mode)
        )


def _due(chunk: ActionChunk, index: int) -> float:
    return chunk.stamp + index * chunk.dt
