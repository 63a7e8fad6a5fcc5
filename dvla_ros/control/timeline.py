"""Which row is to be executed when: chunks merged on one grid of due times."""

from dataclasses import dataclass, replace

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.verdict import ACCEPTED, Verdict, rejected

TIME_TOLERANCE = 1e-6
"""Seconds; above the rounding of a float64 clock that counts from 1970, far below any control period."""


@dataclass(frozen=True)
class Row:
    """One action and the interval in which it is executed.

    Attributes:
        due: Start of the interval in seconds.
        end: End of the interval in seconds.
        action: float32 `[D]` in physical units.
        mode: What the action means.
        key: Epoch, sequence of the chunk and index in it; no two rows share one.
    """

    due: float
    end: float
    action: np.ndarray
    mode: ControlMode
    key: tuple[int, int, int]


class ChunkTimeline:
    """The rows still to be executed, ordered by due time.

    A new chunk replaces every older row that falls into its time span, whenever it arrives; older rows outside that
    span stay. Rows whose interval is over are dropped. One thread at a time may call `merge`, `clear` and `reset`;
    `at` and `after` may be called from another one meanwhile, since the rows are replaced as a whole.
    """

    def __init__(self, *, execute_reserve: bool = False, max_lead_s: float = 2.0) -> None:
        """Start empty, in epoch 0.

        Args:
            execute_reserve: Also execute the rows of a chunk beyond its `execute_steps`, until the next chunk covers
                them. Right when the next chunk was inferred knowing that they will be executed; wrong, for
                increments, when it starts from an observation made before them.
            max_lead_s: A chunk that starts later than this many seconds from now is rejected: its clock is another.
        """
        self._execute_reserve = execute_reserve
        self._max_lead_s = max_lead_s
        self._rows: tuple[Row, ...] = ()
        self._epoch = 0
        self._sequence = -1

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows that were not over at the last merge, in order of due time."""
        return self._rows

    @property
    def epoch(self) -> int:
        """Epoch of the chunks accepted now."""
        return self._epoch

    def check(self, chunk: ActionChunk, now: float) -> Verdict:
        """Whether the chunk may be merged at time `now` in seconds; changes nothing."""
        if chunk.epoch < self._epoch:
            return rejected("old_epoch", f"Chunk of epoch {chunk.epoch} arrived in epoch {self._epoch}.")
        if chunk.epoch == self._epoch and chunk.sequence == self._sequence:
            return rejected("duplicate", f"Chunk {chunk.sequence} arrived twice.")
        if chunk.epoch == self._epoch and chunk.sequence < self._sequence:
            return rejected("out_of_order", f"Chunk {chunk.sequence} arrived after chunk {self._sequence}.")
        if chunk.stamp > now + self._max_lead_s:
            lead = chunk.stamp - now
            return rejected("far_future", f"The chunk starts in {lead:.3f} s; do both nodes use the same clock?")
        if self.first_row(chunk, now) is None:
            late = now - chunk.stamp
            return rejected("past", f"Every row is over: the chunk started {late:.3f} s ago. Is inference too slow?")
        return ACCEPTED

    def first_row(self, chunk: ActionChunk, now: float) -> int | None:
        """Index of the first row of the chunk whose interval is not over at `now`; None when all are."""
        for index in range(self._executed_rows(chunk)):
            if chunk.stamp + (index + 1) * chunk.dt > now + TIME_TOLERANCE:
                return index
        return None

    def merge(self, chunk: ActionChunk, now: float) -> Verdict:
        """Take over the rows of a chunk that are not over at `now` (seconds), if `check` accepts it."""
        verdict = self.check(chunk, now)
        if not verdict.accepted:
            return verdict
        kept = self._rows_outside(chunk, now) if chunk.epoch == self._epoch else []
        first = self.first_row(chunk, now) or 0
        new = [_row(chunk, index) for index in range(first, self._executed_rows(chunk))]
        self._epoch, self._sequence = chunk.epoch, chunk.sequence
        self._rows = tuple(sorted([*kept, *new], key=lambda row: row.due))
        return ACCEPTED

    def at(self, now: float) -> Row | None:
        """The row in whose interval `now` (seconds) lies; the one that became due last if there are several."""
        for row in reversed(self._rows):
            if row.due <= now + TIME_TOLERANCE:
                return row if row.end > now + TIME_TOLERANCE else None
        return None

    def after(self, row: Row) -> Row | None:
        """The row that becomes due when the interval of `row` ends; None if there is a gap."""
        for other in self._rows:
            if abs(other.due - row.end) <= TIME_TOLERANCE and other.key != row.key:
                return other
        return None

    def clear(self) -> None:
        """Drop all rows; later chunks of the same epoch are accepted."""
        self._rows = ()

    def reset(self, epoch: int) -> None:
        """Drop all rows and every chunk of an epoch before `epoch`; sequences count anew."""
        self._rows = ()
        self._epoch, self._sequence = epoch, -1

    def _executed_rows(self, chunk: ActionChunk) -> int:
        if self._execute_reserve or chunk.execute_steps <= 0:
            return chunk.horizon
        return min(chunk.execute_steps, chunk.horizon)

    def _rows_outside(self, chunk: ActionChunk, now: float) -> list[Row]:
        """Rows that are not over and not covered by the chunk; one that the chunk interrupts ends where it starts."""
        kept = []
        for row in self._rows:
            before = row.due < chunk.stamp - TIME_TOLERANCE
            if row.end <= now + TIME_TOLERANCE or not (before or row.due >= chunk.end - TIME_TOLERANCE):
                continue
            kept.append(replace(row, end=min(row.end, chunk.stamp)) if before else row)
        return [row for row in kept if row.end > now + TIME_TOLERANCE]


def _row(chunk: ActionChunk, index: int) -> Row:
    due = chunk.stamp + index * chunk.dt
    key = (chunk.epoch, chunk.sequence, index)
    return Row(due, chunk.stamp + (index + 1) * chunk.dt, chunk.actions[index], chunk.mode, key)
