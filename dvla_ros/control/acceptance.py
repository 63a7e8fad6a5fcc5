"""Whether a chunk is taken over: all checks, planning, and the take-over itself, in the thread that brings it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.action_space import Target
from dvla_ros.control.alignment import seam_offset
from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.chunk_gate import check_form, check_start, check_steps, check_tracking
from dvla_ros.control.controller_config import ControllerConfig
from dvla_ros.control.execution import Command
from dvla_ros.control.kinematics import WidowXKinematics, forward
from dvla_ros.control.plan import GRID_TOLERANCE, Row
from dvla_ros.control.planning import Beginning, RowPlanner
from dvla_ros.control.preview import JointPreview, preview_of_rows
from dvla_ros.control.seams import measure_seam
from dvla_ros.control.statistics import ControllerStatistics
from dvla_ros.control.timeline import ChunkTimeline, Merge, executed_rows
from dvla_ros.control.verdict import ACCEPTED, Verdict, first_rejection, rejected

PathCheck = Callable[[JointPreview], Verdict]
"""Looks at the waypoints of a chunk before it is taken over; may take its time."""


@dataclass(frozen=True)
class Snapshot:
    """What the control thread knew last.

    Attributes:
        measured: `[6]` rad; None when it could not be used.
        command: What was commanded.
        rest: `[6]` rad, where the present motion ends.
        generation: How often rows had been dropped.
        clock_jumps: How often the clock had jumped.
        observed_after: Observations made before this time in seconds show the arm before the last reset.
    """

    measured: np.ndarray | None
    command: Command
    rest: np.ndarray
    generation: int
    clock_jumps: int
    observed_after: float


class ChunkAcceptance:
    """Examines one chunk at a time; belongs to whoever holds the lock of `ChunkController.accept`.

    Args:
        config: Settings.
        kinematics: Solver, used by nothing else.
        timeline: Where accepted rows go.
        statistics: Gets seams and truncations.
        check_path: The last look at a chunk's path; None for none.
    """

    def __init__(
        self,
        config: ControllerConfig,
        kinematics: WidowXKinematics,
        timeline: ChunkTimeline,
        statistics: ControllerStatistics,
        check_path: PathCheck | None,
    ) -> None:
        self._config, self._timeline, self._statistics = config, timeline, statistics
        self._planner = RowPlanner(kinematics, config.safety, config.align_fade_s)
        self._check_path = check_path
        self._clock_jumps = 0

    def take(
        self, chunk: ActionChunk, now: float, snapshot: Snapshot | None, blocked: Callable[[], Verdict]
    ) -> Verdict:
        """Take over a chunk, or say why not.

        Args:
            chunk: What the policy asks for.
            now: Seconds.
            snapshot: None before the first command, and after a reset.
            blocked: Whether the arm is held; asked again right before the take-over.
        """
        if snapshot is not None and snapshot.clock_jumps != self._clock_jumps:
            self._clock_jumps = snapshot.clock_jumps
            self._timeline.forget_order()
        verdict = blocked()
        if verdict.accepted:
            verdict = check_form(chunk, self._config.safety)
        if verdict.accepted:
            verdict = self._timeline.check(chunk, now)
        if not verdict.accepted:
            return verdict
        if snapshot is None or snapshot.measured is None:
            return rejected("no_measurement", "A chunk came when it was not known where the arm is.")
        if 0.0 < chunk.observation_stamp < snapshot.observed_after:
            age = snapshot.observed_after - chunk.observation_stamp
            return rejected("before_reset", f"Its observation is {age:.3f} s older than the last reset.")
        return self._plan(chunk, now, snapshot, snapshot.measured, blocked)

    def _plan(
        self, chunk: ActionChunk, now: float, snapshot: Snapshot, measured: np.ndarray, blocked: Callable[[], Verdict]
    ) -> Verdict:
        merge = self._timeline.merge(chunk, now, snapshot.generation)
        begin = self._beginning(chunk, merge, snapshot, measured)
        verdict = first_rejection(
            check_tracking(measured, snapshot.command.arm, self._config.safety),
            self._check_rows(chunk, merge, begin.target),
        )
        if not verdict.accepted:
            return verdict
        planned = self._planner.plan((*merge.new, *merge.behind), begin)
        if len(planned.rows) < merge.needed:
            return planned.why
        rows = planned.rows if planned.why.accepted else planned.rows[: len(merge.new)]
        if self._check_path is not None:
            verdict = self._check_path(preview_of_rows(rows, self._timeline.plan.version + 1))
        verdict = first_rejection(verdict, blocked())
        return self._commit(chunk, merge, rows, begin, snapshot.generation) if verdict.accepted else verdict

    def _check_rows(self, chunk: ActionChunk, merge: Merge, target: Target) -> Verdict:
        """The rows as they come; those that are over, too, for a seam is measured from the last of them."""
        if not merge.new:
            return ACCEPTED
        rows, config = chunk.actions[: executed_rows(chunk)], self._config.safety
        return first_rejection(
            check_start(rows[merge.first], chunk.mode, target, config), check_steps(rows, chunk.mode, chunk.dt, config)
        )

    def _beginning(self, chunk: ActionChunk, merge: Merge, snapshot: Snapshot, measured: np.ndarray) -> Beginning:
        """Where the arm is planned to be when the first new row begins.

        The measured position is expected to be as far behind the planned one then as it is behind the command now.
        """
        last, goes_on = merge.kept[-1] if merge.kept else None, _goes_on(merge)
        if last is None or (self._config.starvation == "decelerate" and not goes_on):
            target = Target(snapshot.rest, forward(snapshot.rest), snapshot.command.gripper)
        else:
            target = last.target
        lag = forward(measured)[:3, 3] - forward(snapshot.command.arm)[:3, 3]
        return Beginning(
            target=target,
            centre=target.pose[:3, 3] + lag,
            velocity=last.velocity if last is not None and goes_on else np.zeros(6),
            offset=seam_offset(chunk.actions, merge.first, chunk.mode, target) if merge.new else None,
        )

    def _commit(
        self, chunk: ActionChunk, merge: Merge, rows: tuple[Row, ...], begin: Beginning, generation: int
    ) -> Verdict:
        if not self._timeline.commit(chunk, (*merge.kept, *rows), generation):
            return rejected("before_reset", "A reset came while the chunk was looked at.")
        self._statistics.truncated += len(rows) < len(merge.new)
        if rows and merge.new and _goes_on(merge):
            self._statistics.seams.add(*measure_seam(merge.kept[-1], rows[0], begin.offset))
        return ACCEPTED


def _goes_on(merge: Merge) -> bool:
    """Whether the first new row follows a row that is executed, without a gap."""
    following = (*merge.new, *merge.behind)[:1]
    return bool(merge.kept and following) and following[0].due - merge.kept[-1].end <= GRID_TOLERANCE
