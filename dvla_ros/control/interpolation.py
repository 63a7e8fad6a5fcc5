"""Smooth joint motion between targets: cubic Hermite segments that join with continuous velocity."""

from dataclasses import dataclass

import numpy as np

_MAX_STRETCH_STEPS = 40
_STRETCH = 1.15
"""A segment that is too fast is lengthened by this factor until it is not."""


@dataclass(frozen=True)
class HermiteSegment:
    """A cubic from one joint position and velocity to another; constant outside its time span.

    Attributes:
        start: Start time in seconds.
        duration: Length in seconds, positive.
        position_start: `[6]` rad at the start.
        velocity_start: `[6]` rad/s at the start.
        position_end: `[6]` rad at the end.
        velocity_end: `[6]` rad/s at the end.
    """

    start: float
    duration: float
    position_start: np.ndarray
    velocity_start: np.ndarray
    position_end: np.ndarray
    velocity_end: np.ndarray

    @property
    def end(self) -> float:
        """End time in seconds."""
        return self.start + self.duration

    def sample(self, now: float) -> tuple[np.ndarray, np.ndarray]:
        """Position `[6]` in rad and velocity `[6]` in rad/s at time `now`; at rest after the end."""
        if now > self.end:
            return self.position_end, np.zeros_like(self.position_end)
        u = max((now - self.start) / self.duration, 0.0)
        blend = u * u * (3.0 - 2.0 * u)
        begin, finish = u * (1.0 - u) ** 2, u * u * (u - 1.0)
        position = (1.0 - blend) * self.position_start + blend * self.position_end
        position += self.duration * (begin * self.velocity_start + finish * self.velocity_end)
        return position, self._velocity(u)

    def peak_speed(self) -> np.ndarray:
        """Largest speed of each joint, `[6]` in rad/s: at an end, or where the acceleration vanishes."""
        quadratic, linear = self._velocity_coefficients()
        peak = np.maximum(np.abs(self.velocity_start), np.abs(self.velocity_end))
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.nan_to_num(-linear / (2.0 * quadratic))
        vertex = self.velocity_start + u * (linear + u * quadratic)
        return np.where((u > 0.0) & (u < 1.0), np.maximum(peak, np.abs(vertex)), peak)

    def _velocity(self, u: float) -> np.ndarray:
        quadratic, linear = self._velocity_coefficients()
        velocity: np.ndarray = self.velocity_start + u * (linear + u * quadratic)
        return velocity

    def _velocity_coefficients(self) -> tuple[np.ndarray, np.ndarray]:
        """The velocity is `velocity_start + linear * u + quadratic * u**2` for u in 0..1."""
        mean = (self.position_end - self.position_start) / self.duration
        quadratic = 3.0 * (self.velocity_start + self.velocity_end) - 6.0 * mean
        linear = 6.0 * mean - 4.0 * self.velocity_start - 2.0 * self.velocity_end
        return quadratic, linear


def passing_velocity(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Velocity at which to pass a waypoint, from the mean velocities of the segments before and after it.

    Harmonic mean where both have one sign, zero where a joint turns round, so that no joint overshoots
    (Fritsch and Butland, "A method for constructing local monotone piecewise cubic interpolants", 1984).

    Args:
        before: `[6]` rad/s.
        after: `[6]` rad/s.

    Returns:
        float64 `[6]` rad/s.
    """
    same_way = before * after > 0.0
    total = np.where(same_way, before + after, 1.0)
    return np.where(same_way, 2.0 * before * after / total, 0.0)


class JointMotion:
    """The joint command as a function of time; starts at rest."""

    def __init__(self, joints: np.ndarray, speed_limit: np.ndarray) -> None:
        """Rest at `joints` `[6]` in rad; no joint will be commanded faster than `speed_limit` `[6]` in rad/s."""
        self._speed_limit = speed_limit
        self._rest = joints.copy()
        self._segment: HermiteSegment | None = None

    def sample(self, now: float) -> tuple[np.ndarray, np.ndarray]:
        """Position `[6]` in rad and velocity `[6]` in rad/s at time `now` in seconds."""
        if self._segment is None:
            return self._rest, np.zeros_like(self._rest)
        return self._segment.sample(now)

    def rest_at(self, joints: np.ndarray) -> None:
        """Stop: command `joints` `[6]` from now on."""
        self._rest, self._segment = joints.copy(), None

    def move_to(self, target: np.ndarray, start: float, end: float, velocity: np.ndarray) -> None:
        """Go on from the command at `start` to `target`, without a jump in position or velocity.

        If a joint would exceed its speed limit, the motion takes longer than asked and ends at rest.

        Args:
            target: `[6]` rad.
            start: Seconds.
            end: Seconds, after `start`.
            velocity: `[6]` rad/s at the end.
        """
        position, speed = self.sample(start)
        segment = HermiteSegment(start, end - start, position, speed, target, velocity)
        shortest = 1.5 * float(np.max(np.abs(target - position) / self._speed_limit))  # from rest to rest
        for attempt in range(_MAX_STRETCH_STEPS):
            if np.all(segment.peak_speed() <= self._speed_limit * (1.0 + 1e-9)):
                break
            longer = max(segment.duration, shortest) * _STRETCH ** (attempt > 0)
            segment = HermiteSegment(start, longer, position, speed, target, np.zeros_like(target))
        self._segment = segment
