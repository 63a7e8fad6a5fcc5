"""Executing a plan on one arm, tick by tick: which row is due, smooth motion through its waypoints, holding."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.controller_config import ControllerConfig
from dvla_ros.control.motion import MotionState, Waypoint
from dvla_ros.control.plan import GRID_TOLERANCE, Plan, Row
from dvla_ros.control.planned_stretch import PlannedStretch
from dvla_ros.control.preview import JointPreview
from dvla_ros.control.region import Region
from dvla_ros.control.safe_motion import SafeMotion
from dvla_ros.control.statistics import ControllerStatistics
from dvla_ros.control.tick_check import TickCheck
from dvla_ros.control.widowx import gripper_from_finger

_AHEAD_ROWS, _AHEAD_S, _AHEAD_WAYPOINTS = 2, 0.8, 16
"""Motion is planned through so many rows and so much time, but not many more waypoints: that takes a millisecond."""

_JUMP_S = 1.0
"""A longer pause between two ticks is taken for a jump of the clock."""

_REANCHOR_SPEED, _REANCHOR_LEAST_S = 0.3, 0.5
"""Part of the speed limits with which the command goes to the arm, and the shortest time it takes, in seconds."""

_PREVIEW_STEP_S = 0.02


@dataclass(frozen=True)
class Command:
    """What to send to the arm now.

    Attributes:
        arm: float64 `[6]` joint positions in rad.
        arm_velocity: float64 `[6]` rad/s.
        gripper: Opening, 0 closed .. 1 open.
    """

    arm: np.ndarray
    arm_velocity: np.ndarray
    gripper: float


@dataclass(frozen=True)
class Cause:
    """Why the arm is held.

    Attributes:
        reason: Short word to count by.
        detail: One sentence.
    """

    reason: str
    detail: str


NO_MEASUREMENT = Cause("no_measurement", "No usable joint state: missing, not finite, or too old.")


class PlanExecution:
    """The commanded state of one arm, from the moment its joints are known. Belongs to one thread.

    Attributes:
        command: The latest command.
        motion: Where the joints are on their way to.
        generation: How often rows were dropped; plans of an older generation are not executed.
        clock_jumps: How often the clock jumped.
        cause: What holds the arm until it is over by itself; None while nothing does.
        fault: What was found here that must not go on without a person; None while nothing was.
        following: Whether a row is being executed.
        wanted: Whether rows are expected, because there were some.
        last_tick: Time of the latest command in seconds.
    """

    def __init__(
        self,
        joints: np.ndarray,
        finger: float,
        now: float,
        config: ControllerConfig,
        statistics: ControllerStatistics,
        generation: int = 0,
    ) -> None:
        """Begin at rest where the arm is.

        Args:
            joints: `[6]` measured, in rad.
            finger: Measured `left_finger` in metres.
            now: Seconds.
            config: Settings.
            statistics: What is counted.
            generation: How often rows were dropped before.
        """
        joints, gripper = np.array(joints, np.float64), gripper_from_finger(finger)
        self.command = Command(joints, np.zeros(6), gripper)
        self.motion = SafeMotion(joints, config.safety)
        self.generation, self.clock_jumps = generation, 0
        self.cause: Cause | None = None
        self.fault: Cause | None = None
        self.following = self.wanted = False
        self.last_tick = now
        self._config, self._statistics = config, statistics
        self._region, self._check = Region(config.safety), TickCheck(config.safety, joints, gripper)
        self._plan, self._key = Plan(), (-1, -1, -1)
        self._gripper_target = gripper
        self._planned = PlannedStretch()
        self._moving_since: float | None = None
        self._row_less_since: float | None = None

    @property
    def version(self) -> int:
        """Changes whenever the planned commands changed."""
        return self.motion.version

    def interrupt(self, now: float) -> None:
        """Brake at `now` (seconds), and drop all rows."""
        self._drop(now)
        start = max(now, self.last_tick)
        if self.motion.brake(start).accepted:
            self._check.allow(self.command.arm, self.motion.sample(start).position)

    def step(self, now: float, measured: np.ndarray | None, plan: Plan, blocked: bool) -> Command:
        """One tick.

        Args:
            now: Seconds.
            measured: `[6]` rad; None when it cannot be used.
            plan: The newest one.
            blocked: Something else holds the arm; it was interrupted before.
        """
        self._watch_ticks(now)
        self._watch_measurement(now, measured)
        is_new = self._take(plan)
        if blocked or measured is None:
            self.following, self.wanted, self._row_less_since = False, False, None
            self._moving_since = None
        else:
            self._advance(now, measured, is_new)
        self._emit(now)
        return self.command

    def _watch_ticks(self, now: float) -> None:
        """After missing ticks the arm has come to rest at the last command; one that rested anyway is not held."""
        gap = now - self.last_tick
        if 0.0 <= gap <= self._config.max_tick_gap_s:
            return
        jumped = not 0.0 <= gap <= _JUMP_S
        rested = self.motion.end <= self.last_tick and self._plan.rows_left(self.last_tick) == 0
        self._statistics.tick_gaps += 1
        self._drop(self.last_tick)
        self.motion.rest_at(self.command.arm)
        self._check.pause()
        self._moving_since = self._row_less_since = None
        self.clock_jumps += int(jumped)
        if jumped or not rested:
            self.cause = Cause("clock_jump" if jumped else "tick_gap", f"{gap:.3f} s between two updates.")

    def _watch_measurement(self, now: float, measured: np.ndarray | None) -> None:
        if measured is not None:
            if self.cause is NO_MEASUREMENT:
                self.cause = None
        elif self.cause is not NO_MEASUREMENT:
            self.interrupt(now)
            self.cause = NO_MEASUREMENT

    def _take(self, plan: Plan) -> bool:
        """Take over the newest plan if it may be executed; True when it is another one than before."""
        if plan.version == self._plan.version:
            return False
        if plan.generation != self.generation:
            self._statistics.dropped += bool(plan.rows)
            self._plan = Plan((), self.generation, plan.version)
            return False
        self._plan = plan
        if plan.rows:
            self.cause, self.wanted = None, True
        return bool(plan.rows)

    def _drop(self, now: float) -> None:
        """Make the plan void, and with it every one that was made to go on from it."""
        self._statistics.dropped += self._plan.rows_left(now) > 0
        self.generation += 1
        self._plan = Plan((), self.generation, self._plan.version)
        self._gripper_target, self._planned = self.command.gripper, PlannedStretch()

    def _advance(self, now: float, measured: np.ndarray, is_new: bool) -> None:
        index = self._plan.index_at(now)
        self.following = index is not None
        if index is None:
            self._idle(now, measured)
            return
        self._row_less_since = None
        row = self._plan.rows[index]
        if row.key == self._key:
            if is_new and self._planned.must_change(self._plan, index, now):
                self._move(index, now)
        elif self._lags(index):
            self._statistics.lagging += 1
            self.interrupt(now)
            self.following = False
        else:
            self._begin(index, now)

    def _begin(self, index: int, now: float) -> None:
        row = self._plan.rows[index]
        self._key, self._gripper_target = row.key, row.target.gripper
        self._statistics.rows += 1
        if self._planned.needs_more(row) or self._planned.must_change(self._plan, index, now):
            self._move(index, now)

    def _lags(self, index: int) -> bool:
        """Whether the arm is too far behind the end of the row before."""
        row, before = self._plan.rows[index], self._plan.rows[max(index - 1, 0)]
        if before.key != self._key or row.due - before.end > GRID_TOLERANCE:
            return False
        behind = before.target.joints - self.motion.sample(row.due).position
        return float(np.max(np.abs(behind))) > self._config.max_lag

    def _move(self, index: int, now: float) -> None:
        """Plan the motion through the row at `index` and those after it."""
        row, rows = self._plan.rows[index], self._plan.stretch(index, _AHEAD_ROWS, _AHEAD_S, _AHEAD_WAYPOINTS)
        if self._moving_since is None:
            self._moving_since = now
        self.motion.scale_speed(self._config.speed_scale(now - self._moving_since))
        start = max(row.due, self.last_tick)
        complete = self._plan.ends_with(rows[-1])
        stop = complete and self._config.starvation != "decelerate"
        if self._follow(rows, start, stop) or (not stop and self._follow(rows, start, True)):
            self._planned = PlannedStretch(rows, complete)
        elif self._follow((row,), start, True):
            self._planned = PlannedStretch((row,), complete=False)
        else:
            self._give_up(now)

    def _follow(self, rows: tuple[Row, ...], start: float, stop: bool) -> bool:
        waypoints = [waypoint for row in rows for waypoint in row.path]
        self._verdict = self.motion.follow(waypoints, start, stop_at_end=stop)
        if self._verdict.accepted:
            self._check.allow(self.command.arm, self.motion.sample(start).position)
        return self._verdict.accepted

    def _give_up(self, now: float) -> None:
        """No smooth motion through the row stays inside: rest where the present motion ends."""
        self._statistics.unsafe_motions += 1
        self._drop(now)
        self.following = False
        self.cause = Cause("unsafe_motion", f"Smooth motion would lead outside: {self._verdict.detail}")

    def _idle(self, now: float, measured: np.ndarray) -> None:
        """No row is due: stop for good if that was asked for; let go of what keeps the arm from following."""
        if not self.wanted or self._plan.rows_left(now):
            self._row_less_since = None
            return
        if self._row_less_since is None:
            self._row_less_since = now
        waited = now - self._row_less_since
        if self._config.starvation == "stop" and waited > self._config.starvation_timeout_s and self.fault is None:
            self.fault = Cause("starved", f"No row to execute for {waited:.2f} s.")
        if waited > self._config.reanchor_after_s and now > self.motion.end:
            self._reanchor(now, measured)

    def _reanchor(self, now: float, measured: np.ndarray) -> None:
        """Command where the arm is, if it cannot get to where it is commanded to be."""
        goal = self._region.clip(measured)
        way = np.abs(goal - self.command.arm)
        if float(np.max(way)) <= 0.5 * self._config.safety.max_start_jump:
            return
        shortest = float(np.max(way / np.array(self._config.safety.joint_velocity))) / _REANCHOR_SPEED
        waypoint = Waypoint(now + max(shortest, _REANCHOR_LEAST_S), goal)
        if self.motion.follow([waypoint], now).accepted:
            self._drop(now)
            self._check.allow(self.command.arm)
            self._statistics.reanchored += 1

    def _emit(self, now: float) -> None:
        """Make the command for `now`, after a last look at it."""
        elapsed = max(now - self.last_tick, 0.0)
        state, gripper = self.motion.sample(now), self._gripper(elapsed)
        verdict = self._check.check(state.position, gripper, elapsed)
        if not verdict.accepted:
            self.fault = self.fault or Cause("tick_check", f"{verdict.reason}: {verdict.detail}")
            state, gripper = self._last_resort(now, elapsed), self.command.gripper
        self.command = Command(state.position, state.velocity, gripper)
        self.last_tick = now
        self._statistics.limited_ticks += self.motion.is_limited and now < self.motion.end
        self._statistics.rows_left = self._plan.rows_left(now)

    def _last_resort(self, now: float, elapsed: float) -> MotionState:
        """Brake from the last command that was good; if that is no better, stay there."""
        self._drop(now)
        self.motion.brake(self.last_tick)
        state = self.motion.sample(now)
        if self._check.check(state.position, self.command.gripper, elapsed).accepted:
            return state
        self.motion.rest_at(self.command.arm)
        self._check.pause()
        return self.motion.sample(now)

    def _gripper(self, elapsed: float) -> float:
        """The next opening on the way to that of the row, no faster than the gripper is."""
        reach = min(elapsed, self._config.max_tick_gap_s) / self._config.safety.gripper_s
        way = self._gripper_target - self.command.gripper
        return self.command.gripper + min(max(way, -reach), reach)

    def preview(self, now: float, horizon_s: float) -> JointPreview:
        """The commands planned from `now` on, until the arm rests or `horizon_s` seconds are over."""
        length = min(max(self.motion.end - now, 0.0), horizon_s)
        times = now + np.linspace(0.0, length, int(np.ceil(length / _PREVIEW_STEP_S)) + 1)
        positions, velocities = self.motion.samples(times)
        rows = [self._plan.at(float(time)) for time in times]
        grippers = np.array([self._gripper_target if row is None else row.target.gripper for row in rows])
        return JointPreview(times, positions, velocities, grippers, self.version)
