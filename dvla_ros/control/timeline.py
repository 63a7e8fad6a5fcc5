"""Which row is to be executed when: chunks merged on one grid of due times."""

import threading
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.plan import GRID_TOLERANCE, TIME_TOLERANCE, Plan, Row, RowRequest
from dvla_ros.control.verdict import ACCEPTED, Verdict, rejected

_MOSTLY_OVER = 0.5
"""A row of which more than this part is over is not begun any more: the arm would have to hurry to its end."""


@dataclass(frozen=True)
class SameAction:
    """When two actions are the same: the frozen rows of a chunk went through a tokenizer.

    Attributes:
        translation: Metres.
        rotation: Radians, also for joints.
        gripper: Part of the opening.
    """

    translation: float = 5e-3
    rotation: float = 0.02
    gripper: float = 0.1

    def __call__(self, a: np.ndarray, b: np.ndarray, mode: ControlMode) -> bool:
        """Whether the rows `a` and `b` `[7]` of one mode ask for the same."""
        poses = mode in (ControlMode.EE_POSE, ControlMode.EE_DELTA)
        first = self.translation if poses else self.rotation
        bound = np.array([first] * 3 + [self.rotation] * 3 + [self.gripper])
        return a.shape == b.shape == bound.shape and bool(np.all(np.abs(a - b) <= bound))


@dataclass(frozen=True)
class Merge:
    """What becomes of the rows when a chunk is taken over.

    Attributes:
        kept: Rows before the first new one; the last may be over, or cut short by the new ones.
        new: Rows of the chunk that are to be planned.
        behind: Rows of older chunks after those of the new one.
        needed: How many of `new` are meant to be executed before the next chunk.
        first: Index of the first row in `new` in the chunk.
    """

    kept: tuple[Row, ...]
    new: tuple[RowRequest, ...]
    behind: tuple[RowRequest, ...]
    needed: int
    first: int


class ChunkTimeline:
    """The rows still to be executed, and which chunks may add to them.

    A new chunk replaces every older row that falls into its time span, whenever it arrives; older rows before it stay,
    and so do those after it. The frozen rows of a chunk that are being executed already stay as they are.

    `plan` may be read by any thread at any time: it is replaced as a whole. One thread at a time may go through
    `check`, `merge` and `commit`; `reset` may be called meanwhile, the commit then fails.
    """

    def __init__(self, *, max_lead_s: float = 2.0, same: SameAction | None = None) -> None:
        """Start empty, in epoch 0.

        Args:
            max_lead_s: A chunk that starts later than this many seconds from now is rejected: its clock is another.
            same: When a frozen row is what is being executed.
        """
        self._max_lead_s = max_lead_s
        self._same = same or SameAction()
        self._lock = threading.Lock()
        self._newest = (0, -1)  # epoch and sequence
        self.plan = Plan()

    @property
    def epoch(self) -> int:
        """Epoch of the chunks accepted now."""
        return self._newest[0]

    def check(self, chunk: ActionChunk, now: float) -> Verdict:
        """Whether the chunk may be merged at time `now` in seconds; changes nothing."""
        epoch, sequence = self._newest
        if chunk.epoch < epoch:
            return rejected("old_epoch", f"Chunk of epoch {chunk.epoch} arrived in epoch {epoch}.")
        if chunk.epoch == epoch and chunk.sequence == sequence:
            return rejected("duplicate", f"Chunk {chunk.sequence} arrived twice.")
        if chunk.epoch == epoch and chunk.sequence < sequence:
            return rejected("out_of_order", f"Chunk {chunk.sequence} arrived after chunk {sequence}.")
        if chunk.stamp > now + self._max_lead_s:
            lead = chunk.stamp - now
            return rejected("far_future", f"The chunk starts in {lead:.3f} s; do both nodes use the same clock?")
        if first_row(chunk, now) is None:
            late = now - chunk.stamp
            return rejected("past", f"Every row is over: the chunk started {late:.3f} s ago. Is inference too slow?")
        return ACCEPTED

    def merge(self, chunk: ActionChunk, now: float, generation: int) -> Merge:
        """What the rows become with a chunk that `check` accepts; changes nothing.

        Args:
            chunk: Every row has seven numbers.
            now: Seconds.
            generation: How often rows were dropped; those of a plan of another generation count as none.
        """
        rows = self.plan.rows if self.plan.generation == generation and chunk.epoch == self.epoch else ()
        first = first_row(chunk, now) or 0
        executed = executed_rows(chunk)
        while first < min(chunk.frozen_steps, executed) and self._is_executed(chunk, first, rows):
            first += 1
        start, end = _due(chunk, first), _due(chunk, executed)
        needed = (chunk.execute_steps or executed) - first
        return Merge(
            kept=_before(rows, start, now),
            new=tuple(_request(chunk, index) for index in range(first, executed)),
            behind=tuple(row for row in rows if row.due >= end - TIME_TOLERANCE),
            needed=min(max(needed, 1), executed - first),
            first=first,
        )

    def commit(self, chunk: ActionChunk, rows: tuple[Row, ...], generation: int) -> bool:
        """Take over a merged chunk; False when a reset came in between, and nothing was changed."""
        with self._lock:
            if self._newest[0] > chunk.epoch:
                return False
            self._newest = (chunk.epoch, chunk.sequence)
            self.plan = Plan(rows, generation, self.plan.version + 1)
            return True

    def forget_order(self) -> None:
        """Accept any sequence next: the clock jumped, or the sender counts anew."""
        with self._lock:
            self._newest = (self._newest[0], -1)

    def reset(self, epoch: int) -> None:
        """Drop all rows and every chunk of an epoch before `epoch`; sequences count anew."""
        with self._lock:
            self._newest = (epoch, -1)
            self.plan = Plan((), self.plan.generation, self.plan.version + 1)

    def _is_executed(self, chunk: ActionChunk, index: int, rows: tuple[Row, ...]) -> bool:
        """Whether the row of the chunk is being executed already."""
        due = _due(chunk, index)
        return any(
            abs(row.due - due) <= GRID_TOLERANCE
            and row.mode is chunk.mode
            and self._same(row.action, chunk.actions[index], chunk.mode)
            for row in rows
        )


def executed_rows(chunk: ActionChunk) -> int:
    """Number of leading rows of the chunk that are executed if no newer chunk covers them."""
    if chunk.execute_reserve or chunk.execute_steps <= 0:
        return chunk.horizon
    return min(chunk.execute_steps, chunk.horizon)


def first_row(chunk: ActionChunk, now: float) -> int | None:
    """Index of the first row that is not over at `now` (seconds), nor mostly over; None when all are."""
    begun = (now - chunk.stamp) / chunk.dt - _MOSTLY_OVER
    first = max(int(np.ceil(begun - TIME_TOLERANCE / chunk.dt)), 0)
    return first if first < executed_rows(chunk) else None


def _due(chunk: ActionChunk, index: int) -> float:
    return chunk.stamp + index * chunk.dt


def _request(chunk: ActionChunk, index: int) -> RowRequest:
    key = (chunk.epoch, chunk.sequence, index)
    return RowRequest(_due(chunk, index), _due(chunk, index + 1), chunk.actions[index], chunk.mode, key)


def _before(rows: tuple[Row, ...], start: float, now: float) -> tuple[Row, ...]:
    """Rows that begin before `start` (seconds): those that are not over, and the last of those that are."""
    earlier = [row for row in rows if row.due < start - GRID_TOLERANCE]
    over = [index for index, row in enumerate(earlier) if row.end <= now]
    kept = earlier[max(over, default=0) :]
    if kept and kept[-1].end > start + GRID_TOLERANCE:
        kept[-1] = kept[-1].until(start)
    return tuple(kept)
