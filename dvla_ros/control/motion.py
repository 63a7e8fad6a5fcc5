"""What the joints do between waypoints: smooth where they can, never beyond a limit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from dvla_ros.control.motion_plan import MotionPiece, MotionPlan
from dvla_ros.control.waypoint_planner import SHORTEST_STEP_S, PlannedPieces, Route, WaypointPlanner
from dvla_ros.errors import ActionError, ConfigurationError

_RANGE_STEP_S = 0.005
"""Spacing of the samples from which `JointMotion.extremes` bounds the positions."""


@dataclass(frozen=True)
class MotionLimits:
    """What no joint may exceed.

    Attributes:
        velocity: `[J]` rad/s.
        acceleration: `[J]` rad/s².
        jerk: `[J]` rad/s³.

    Raises:
        ConfigurationError: The shapes differ, or a limit is not positive and finite.
    """

    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray

    def __post_init__(self) -> None:
        for name in ("velocity", "acceleration", "jerk"):
            value = getattr(self, name)
            if value.shape != self.velocity.shape or value.ndim != 1:
                raise ConfigurationError(f"{name} limits need one number for each joint, got shape {value.shape}.")
            if not (np.isfinite(value).all() and (value > 0.0).all()):
                raise ConfigurationError(f"{name} limits must be positive and finite, got {value.tolist()}.")


@dataclass(frozen=True)
class Waypoint:
    """Where the joints shall be at one time.

    Attributes:
        time: Seconds.
        joints: `[J]` rad.
    """

    time: float
    joints: np.ndarray


@dataclass(frozen=True)
class MotionState:
    """What the joints do at one time.

    Attributes:
        position: `[J]` rad.
        velocity: `[J]` rad/s.
        acceleration: `[J]` rad/s².
    """

    position: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray


class JointMotion:
    """The joint command as a function of time: position, velocity and acceleration never jump, limits always hold.

    Through the waypoints it is the smoothest motion there is, a spline of minimum jerk; where that would exceed a
    limit, corners are rounded and arrivals late, as `WaypointPlanner` says. Every plan ends at rest, so that a thread
    that stops planning stops the arm.

    One thread at a time may change the plan; any thread may look at it.
    """

    def __init__(self, joints: np.ndarray, limits: MotionLimits) -> None:
        """Rest at `joints` `[J]` in rad."""
        self._full_limits = np.stack([limits.velocity, limits.acceleration, limits.jerk])
        self._limits = self._full_limits
        self._planner = WaypointPlanner(len(joints))
        self._plan = _rest(joints)

    @property
    def end(self) -> float:
        """Time in seconds from which the joints rest; minus infinity if they always did."""
        return self._plan.end

    @property
    def target(self) -> np.ndarray:
        """Where the joints will rest, `[J]` in rad."""
        return self._plan.target

    @property
    def is_limited(self) -> bool:
        """True when the waypoints of the present plan ask for more than the limits, so that the motion is late."""
        return self._plan.is_limited

    def sample(self, now: float) -> MotionState:
        """What the joints do at time `now` in seconds."""
        return MotionState(*self._plan.state(now))

    def samples(self, times: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions `[n, J]` in rad and velocities `[n, J]` in rad/s at `times` `[n]` in seconds."""
        plan = self._plan
        states = np.array([plan.state(float(time)) for time in times]).reshape(-1, 3, len(plan.target))
        return states[:, 0], states[:, 1]

    def extremes(self, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the positions between two times, `[J]` and `[J]` in rad, wider than they are by less than 1 mrad.

        Between two samples at distance h, no position is further out than both by more than `a h² / 8`, where a is the
        largest acceleration.
        """
        last = max(min(end, self.end), start)
        positions, _ = self.samples(np.linspace(start, last, math.ceil((last - start) / _RANGE_STEP_S) + 1))
        slack = self._full_limits[1] * _RANGE_STEP_S**2 / 8.0
        return positions.min(axis=0) - slack, positions.max(axis=0) + slack

    def follow(self, waypoints: Sequence[Waypoint], start: float, *, stop_at_end: bool = True) -> None:
        """From time `start` on, go from the state of that time through the waypoints.

        Args:
            waypoints: In order of their times; those that are not after `start` are passed over. Without any other,
                the motion brakes. One less than 4 ms after `start`, or before the next, is passed over, too. The time
                it takes grows with the third power of their number: 0.3 ms for 4, 1 ms for 16.
            start: Seconds; not before the time of the last command sent, or that command was a lie.
            stop_at_end: Arrive at the last waypoint at rest; otherwise with the velocity of the last interval,
                and brake after it.

        Raises:
            ActionError: The times do not increase, or a number is not finite.
        """
        ahead = _ahead(waypoints, start)
        planned = self._planned(ahead, start, stop_at_end) if ahead else None
        if planned is None:
            self.brake(start)
        else:
            self._adopt(start, planned.pieces, planned.is_limited)

    def brake(self, start: float) -> None:
        """From time `start` (seconds) on, come to rest as fast as the limits allow, each joint on its own."""
        state = self._plan.state(start)
        if not state[1:].any():
            self._plan = MotionPlan(start, (), state[0], self._plan.active_at(start))
            return
        piece = self._planner.brake(state, self._limits)
        if piece is not None:  # otherwise the present plan stays: it ends at rest, too
            self._adopt(start, [piece], is_limited=False)

    def rest_at(self, joints: np.ndarray) -> None:
        """Command `joints` `[J]` in rad from now on, wherever the joints were: only for starting anew."""
        self._plan = _rest(joints)

    def scale_limits(self, scale: float) -> None:
        """Plan with this part of the velocity limits from now on; those of acceleration and jerk stay.

        Raises:
            ConfigurationError: `scale` is not in 0..1, or is zero.
        """
        if not 0.0 < scale <= 1.0:
            raise ConfigurationError(f"A speed scale must lie above 0 and not above 1, got {scale}.")
        self._limits = np.stack([scale * self._full_limits[0], *self._full_limits[1:]])

    def _planned(self, ahead: Sequence[Waypoint], start: float, stops: bool) -> PlannedPieces | None:
        """The pieces along the waypoints and to rest; None when rounding prevents a plan."""
        state = self._plan.state(start)
        times = np.array([0.0, *(waypoint.time - start for waypoint in ahead)])
        positions = np.stack([state[0], *(waypoint.joints for waypoint in ahead)])
        planned = self._planner.along(Route(times, positions, state, stops), self._limits)
        if planned is None or not planned.state[1].any():
            return planned
        stop = self._planner.brake(planned.state, self._limits)
        return None if stop is None else replace(planned, pieces=[*planned.pieces, stop])

    def _adopt(self, start: float, pieces: Sequence[MotionPiece], is_limited: bool) -> None:
        target = pieces[-1].state(pieces[-1].length)[0]
        self._plan = MotionPlan(start, tuple(pieces), target, self._plan.active_at(start), is_limited)


def _rest(joints: np.ndarray) -> MotionPlan:
    return MotionPlan(-math.inf, (), np.array(joints, np.float64))


def _ahead(waypoints: Sequence[Waypoint], start: float) -> list[Waypoint]:
    """The waypoints after `start`, if all make sense, without those that lie too close before another one."""
    if not math.isfinite(start):
        raise ActionError(f"A motion must start at a finite time, got {start}.")
    for waypoint in waypoints:
        if not (math.isfinite(waypoint.time) and np.isfinite(waypoint.joints).all()):
            raise ActionError(f"A waypoint must be finite, got {waypoint.joints} at {waypoint.time} s.")
    for before, after in pairwise(waypoints):
        if after.time <= before.time:
            raise ActionError(f"Waypoints need increasing times, got {after.time!r} s after {before.time!r} s.")
    ahead = [waypoint for waypoint in waypoints[-1:] if waypoint.time > start]
    for waypoint in reversed(waypoints[:-1]):
        if waypoint.time >= start + SHORTEST_STEP_S and ahead[-1].time - waypoint.time >= SHORTEST_STEP_S:
            ahead.append(waypoint)
    return ahead[::-1]
