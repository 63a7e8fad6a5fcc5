"""From chunks to commands at a fixed rate: rows when they are due, targets, smooth motion, limits."""

import threading
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.execution import Command as Command
from dvla_ros.control.execution import Fault, RowExecution
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.safety import SafetyConfig, SafetyGate
from dvla_ros.control.statistics import ControllerStatistics
from dvla_ros.control.timeline import ChunkTimeline
from dvla_ros.control.verdict import Verdict
from dvla_ros.errors import ConfigurationError

_NO_MEASUREMENT = Fault("no_measurement", "No usable joint state: missing, not finite, or too old.")
_REQUESTED = Fault("requested", "Asked to hold.")


@dataclass(frozen=True)
class ControllerConfig:
    """Settings of the controller.

    Attributes:
        safety: Limits of the safety gate; its workspace is also the box to which increments are clipped.
        execute_reserve: Execute rows beyond `execute_steps` while no newer chunk covers them, see `ChunkTimeline`.
        max_lead_s: Chunks that start later than this many seconds from now are rejected.
        max_tick_gap_s: After a longer pause between two updates the motion starts again from rest.

    Raises:
        ConfigurationError: A time is not positive.
    """

    safety: SafetyConfig = field(default_factory=SafetyConfig)
    execute_reserve: bool = False
    max_lead_s: float = 2.0
    max_tick_gap_s: float = 0.1

    def __post_init__(self) -> None:
        for name in ("max_lead_s", "max_tick_gap_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigurationError(f"{name} must be positive, got {getattr(self, name)} s.")


class ChunkController:
    """Executes chunks row by row.

    When a row becomes due, the next target is computed from the one commanded before; the joints move there smoothly
    over the rest of the row's interval. The first command is where the arm is. A row that cannot be executed is passed
    over: the arm finishes its way to the last good target and rests there, from where the next row starts. Without a
    usable joint state the last command is repeated with zero velocity until there is one again.

    `update` belongs to one thread and never waits for a lock, so that a slow thread cannot delay the commands.
    `accept`, `hold` and `reset` may be called from any thread; `hold` and `reset` take effect at the next update.

    Attributes:
        statistics: Counts since the controller was made.
    """

    def __init__(self, config: ControllerConfig, kinematics: WidowXKinematics) -> None:
        """Make a controller.

        Args:
            config: Settings.
            kinematics: Solver for the thread that calls `update`, used by nothing else.
        """
        self.statistics = ControllerStatistics()
        self._config = config
        self._kinematics = kinematics
        self._gate = SafetyGate(config.safety)
        self._timeline = ChunkTimeline(execute_reserve=config.execute_reserve, max_lead_s=config.max_lead_s)
        self._accept_lock = threading.Lock()
        self._requests: deque[Fault | None] = deque()  # a fault to hold with, or None to begin anew
        self._execution: RowExecution | None = None
        self._measured: np.ndarray | None = None
        self._expecting_rows = False

    @property
    def epoch(self) -> int:
        """Epoch of the chunks accepted now."""
        return self._timeline.epoch

    def accept(self, chunk: ActionChunk, now: float) -> Verdict:
        """Take over a chunk, or reject it as a whole.

        Args:
            chunk: What the policy asks for.
            now: Seconds on the clock of the chunk's stamps.
        """
        with self._accept_lock:
            verdict = self._merge(chunk, now)
            if verdict.accepted:
                self.statistics.accepted += 1
                self._expecting_rows = True
            else:
                self.statistics.rejected[verdict.reason] += 1
                self.statistics.last_rejection = verdict.detail
            return verdict

    def hold(self) -> None:
        """Drop all rows and stay at the last command; chunks that arrive later are executed."""
        with self._accept_lock:
            self._timeline.clear()
            self._requests.append(_REQUESTED)

    def reset(self, epoch: int) -> None:
        """Begin anew: drop all rows and older epochs, and command the measured joints at the next update."""
        with self._accept_lock:
            self._timeline.reset(epoch)
            self._requests.append(None)

    def update(self, now: float, measured: np.ndarray | None, finger: float) -> Command | None:
        """The command for this tick.

        Args:
            now: Seconds, on the clock of the chunks.
            measured: `[6]` measured joints in rad; None or not finite when they are missing or too old.
            finger: Measured `left_finger` in metres; only used for the first command.

        Returns:
            None before the first valid joint state.
        """
        self._serve_requests()
        usable = measured is not None and np.isfinite(measured).all() and np.isfinite(finger)
        if self._execution is None:
            if measured is None or not usable:
                return None
            self._execution = RowExecution(measured, finger, now, self._gate, self._kinematics)
        if measured is None or not usable:
            self._execution.interrupt(_NO_MEASUREMENT)
        else:
            self._measured = measured
            self._advance(self._execution, now, measured)
        command = self._execution.tick(now)
        self._count(self._execution.fault, now)
        return command

    def _merge(self, chunk: ActionChunk, now: float) -> Verdict:
        verdict = self._timeline.check(chunk, now)
        if not verdict.accepted:
            return verdict
        first, execution = self._timeline.first_row(chunk, now), self._execution
        commanded = None if execution is None else execution.command.arm
        verdict = self._gate.check_chunk(chunk, first or 0, self._measured, commanded)
        return self._timeline.merge(chunk, now) if verdict.accepted else verdict

    def _serve_requests(self) -> None:
        while self._requests:
            request = self._requests.popleft()
            self._expecting_rows = bool(self._timeline.rows)
            if request is None:
                self._execution, self._measured = None, None
            elif self._execution is not None:
                self._execution.hold(request)

    def _advance(self, execution: RowExecution, now: float, measured: np.ndarray) -> None:
        """Begin the row that became due, or go on after an interruption."""
        gap = now - execution.last_tick
        if not 0.0 <= gap <= self._config.max_tick_gap_s:
            self.statistics.tick_gaps += 1
            execution.interrupt(Fault("tick_gap", f"{gap:.3f} s between two updates."))
        row = self._timeline.at(now)
        if row is None or not execution.is_new(row):
            execution.resume(row, now)
        elif execution.begin(row, self._timeline.after(row), measured, now):
            self.statistics.rows += 1

    def _count(self, fault: Fault | None, now: float) -> None:
        self.statistics.ticks += 1
        if fault is not None:
            self.statistics.held[fault.reason] += 1
            self.statistics.last_fault = fault.detail
        elif self._expecting_rows and self._timeline.at(now) is None:
            self.statistics.starved_ticks += 1
