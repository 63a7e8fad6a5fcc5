"""From chunks to commands at a fixed rate: planned when they come, smooth motion when they are due, limits always."""

import threading
from collections import deque

import numpy as np

from dvla_ros.control.acceptance import ChunkAcceptance, PathCheck, Snapshot
from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.controller_config import ControllerConfig as ControllerConfig
from dvla_ros.control.execution import Cause, PlanExecution
from dvla_ros.control.execution import Command as Command
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.preview import JointPreview as JointPreview
from dvla_ros.control.preview import preview_of_rows
from dvla_ros.control.statistics import ControllerStatistics
from dvla_ros.control.timeline import ChunkTimeline
from dvla_ros.control.verdict import ACCEPTED, Verdict, rejected

FOLLOWING, STARVED, HOLDING, FAULT, INACTIVE = "following", "starved", "holding", "fault", "inactive"
"""States, as in `msg/ExecutionStatus.msg`."""

_JOINT_STATE_AGE_S = 0.1
"""An observation may be this much older than the joint state with which the arm was found after a reset."""


class ChunkController:
    """Executes chunks row by row.

    A chunk is planned by the thread that brings it: targets, inverse kinematics, waypoints, checks of the whole path.
    The control thread moves the arm smoothly through the waypoints. The first command is where the arm is.

    Threads: `update` and `preview` belong to the control thread; `update` never waits for a lock. `accept` may be
    called from any other thread; a second one waits. `hold`, `release`, `reset`, `fault` and `reset_fault` may be
    called from any thread and return at once, even while `accept` is at work: chunks are refused from the call on, the
    arm brakes at the next update. The plan goes from thread to thread as an immutable object; one that was made before
    rows were dropped is void.

    Attributes:
        statistics: Counts since the controller was made.
    """

    def __init__(
        self, config: ControllerConfig, kinematics: WidowXKinematics, check_path: PathCheck | None = None
    ) -> None:
        """Make a controller.

        Args:
            config: Settings.
            kinematics: Solver for planning, used by nothing else.
            check_path: Looks at the path of each chunk, after all other checks and before it is taken over.
        """
        self.statistics = ControllerStatistics()
        self._config = config
        self._timeline = ChunkTimeline(max_lead_s=config.max_lead_s, same=config.same_action)
        self._acceptance = ChunkAcceptance(config, kinematics, self._timeline, self.statistics, check_path)
        self._accept_lock = threading.Lock()
        self._execution: PlanExecution | None = None
        self._snapshot: Snapshot | None = None
        self._requests: deque[bool] = deque()  # True: begin anew; False: brake and drop rows
        self._held: Cause | None = None
        self._fault: Cause | None = None
        self._rows_wanted, self._generation = False, 0
        self._was_reset, self._observed_after = False, -np.inf

    @property
    def epoch(self) -> int:
        """Epoch of the chunks accepted now."""
        return self._timeline.epoch

    @property
    def state(self) -> str:
        """One of the words of `ExecutionStatus`."""
        execution = self._execution
        if self._fault is not None:
            return FAULT
        if self._cause is not None:
            return HOLDING
        if execution is None:
            return INACTIVE
        return STARVED if execution.wanted and not execution.following else FOLLOWING

    @property
    def reason(self) -> str:
        """Why the arm is held, in one word to count by; empty while it is not."""
        cause = self._cause
        return "" if cause is None else cause.reason

    @property
    def detail(self) -> str:
        """Why the arm is held, in one sentence; empty while it is not."""
        cause = self._cause
        return "" if cause is None else cause.detail

    def accept(self, chunk: ActionChunk, now: float) -> Verdict:
        """Take over a chunk, or reject it as a whole.

        Args:
            chunk: What the policy asks for.
            now: Seconds on the clock of the chunk's stamps.
        """
        with self._accept_lock:
            verdict = self._acceptance.take(chunk, now, self._snapshot, self._blocked)
            if verdict.accepted:
                self.statistics.accepted += 1
                self.statistics.last_sequence = chunk.sequence
            else:
                self.statistics.rejected[verdict.reason] += 1
                self.statistics.last_rejection = verdict.detail
                self._rows_wanted |= verdict.reason == "start_jump"
            return verdict

    def hold(self, reason: str = "requested", detail: str = "Asked to hold.") -> None:
        """Brake, drop all rows, and refuse chunks until `release` or `reset`."""
        self._held = Cause(reason, detail)
        self._requests.append(False)

    def release(self) -> None:
        """End a hold; chunks that arrive from now on are executed."""
        self._held = None

    def fault(self, reason: str, detail: str) -> None:
        """Brake, drop all rows, and refuse chunks until `reset_fault`; the first of several faults is kept."""
        if self._fault is None:
            self._latch(Cause(reason, detail))
            self._requests.append(False)

    def reset_fault(self) -> None:
        """Forget the fault; chunks that arrive from now on are executed."""
        self._fault = None

    def reset(self, epoch: int) -> None:
        """Begin anew: drop all rows and older epochs, end a hold, and command the measured joints at the next update.

        Chunks whose observation is older than that are refused. A fault stays.
        """
        self._timeline.reset(epoch)
        self._held = self._snapshot = None
        self._requests.append(True)

    def update(self, now: float, measured: np.ndarray | None, finger: float) -> Command | None:
        """The command for this tick.

        Args:
            now: Seconds, on the clock of the chunks.
            measured: `[6]` measured joints in rad; None or not finite when they are missing or too old.
            finger: Measured `left_finger` in metres; only used for the first command.

        Returns:
            None before the first valid joint state.
        """
        self._serve_requests(now)
        usable = measured if measured is not None and np.isfinite(measured).all() and np.isfinite(finger) else None
        execution = self._execution
        if execution is None:
            if usable is None:
                return None
            execution = self._begin(usable, finger, now)
        if self._rows_wanted:
            self._rows_wanted, execution.wanted = False, True
        blocked = self._fault is not None or self._held is not None
        command = execution.step(now, usable, self._timeline.plan, blocked)
        self._take_fault(execution, now)
        self._snapshot = self._snapshot_of(execution, usable)
        self._count(execution)
        return command

    def preview(self, now: float, horizon_s: float) -> JointPreview:
        """The commands planned from `now` on, until the arm rests or `horizon_s` seconds are over; control thread only.

        Empty before the first command.
        """
        execution = self._execution
        return preview_of_rows((), 0) if execution is None else execution.preview(now, horizon_s)

    @property
    def _cause(self) -> Cause | None:
        """What holds the arm, worst first."""
        own = None if self._execution is None else self._execution.cause
        return self._fault or self._held or own

    def _blocked(self) -> Verdict:
        fault, held = self._fault, self._held
        if fault is not None:
            return rejected("fault", f"The arm is held by a fault: {fault.detail}")
        return ACCEPTED if held is None else rejected("held", f"The arm is held: {held.detail}")

    def _serve_requests(self, now: float) -> None:
        while self._requests:
            begin_anew, execution = self._requests.popleft(), self._execution
            if execution is not None:
                execution.interrupt(now)
            if begin_anew and execution is not None:
                self._generation = execution.generation
            if begin_anew:
                self._execution, self._snapshot, self._was_reset = None, None, True

    def _begin(self, joints: np.ndarray, finger: float, now: float) -> PlanExecution:
        self._execution = PlanExecution(joints, finger, now, self._config, self.statistics, self._generation)
        if self._was_reset:
            self._was_reset, self._observed_after = False, now - _JOINT_STATE_AGE_S
        return self._execution

    def _take_fault(self, execution: PlanExecution, now: float) -> None:
        """A fault found while executing becomes one that only `reset_fault` ends."""
        found, execution.fault = execution.fault, None
        if found is not None and self._fault is None:
            execution.interrupt(now)
            self._latch(found)

    def _latch(self, cause: Cause) -> None:
        self._fault = cause
        self.statistics.faults[cause.reason] += 1

    def _snapshot_of(self, execution: PlanExecution, measured: np.ndarray | None) -> Snapshot:
        return Snapshot(
            measured,
            execution.command,
            execution.motion.target,
            execution.generation,
            execution.clock_jumps,
            self._observed_after,
        )

    def _count(self, execution: PlanExecution) -> None:
        self.statistics.ticks += 1
        cause = self._cause
        if cause is not None:
            self.statistics.held[cause.reason] += 1
            self.statistics.last_fault = cause.detail
        elif execution.wanted and not execution.following:
            self.statistics.starved_ticks += 1
