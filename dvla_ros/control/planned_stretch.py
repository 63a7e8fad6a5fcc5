"""Which rows the present motion goes through, and when that has to change."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.plan import GRID_TOLERANCE, Plan, Row

_AGAIN = 0.75
"""Motion is planned again when less than this part of it is left, and more rows follow."""

_BEND_S = 0.25
"""Motion is left as it is until so long before the first row that changed, or until the row before that one."""


@dataclass(frozen=True)
class PlannedStretch:
    """Rows for which motion was planned; a new chunk that repeats them must not move the arm.

    Attributes:
        rows: One after another, without gaps.
        complete: Whether no row followed the last one, so that the motion ends with it.
    """

    rows: tuple[Row, ...] = ()
    complete: bool = True

    def needs_more(self, row: Row) -> bool:
        """Whether, when `row` begins, there is too little motion left for the rows after it."""
        if not self.rows:
            return True
        left = self.rows[-1].end - row.due
        total = self.rows[-1].end - self.rows[0].due
        return left <= GRID_TOLERANCE or (not self.complete and left < _AGAIN * total - GRID_TOLERANCE)

    def must_change(self, plan: Plan, index: int, now: float) -> bool:
        """Whether the row of `plan` at `index`, executed at `now` (seconds), is the time to go over to that plan."""
        nearest = max(now + _BEND_S, plan.rows[index].end)
        return self.changes_at(plan, index) <= nearest + GRID_TOLERANCE

    def changes_at(self, plan: Plan, index: int) -> float:
        """Time in seconds from which `plan`, looked at from the row at `index` on, asks for other motion; or infinity.

        Rows are the same when they are the same object: those that a new chunk repeats stay what they are.
        """
        first = plan.rows[index]
        mine = next((self.rows[at:] for at, row in enumerate(self.rows) if row is first), ())
        if not mine:
            return first.due
        theirs = plan.rows[index : index + len(mine)]
        for before, after in zip(mine, theirs, strict=False):
            if before is not after:
                return min(before.due, after.due)
        last = theirs[-1]
        return np.inf if len(theirs) == len(mine) and plan.ends_with(last) == self.complete else last.end
