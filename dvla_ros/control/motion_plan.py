"""A planned motion: pieces one after another, then rest."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Protocol

import numpy as np


class MotionPiece(Protocol):
    """A part of a motion.

    Attributes:
        length: Seconds.
    """

    length: float

    def state(self, elapsed: float) -> np.ndarray:
        """Position (rad), velocity (rad/s), acceleration (rad/s²), `[3, J]`, `elapsed` seconds after its beginning."""
        ...


class PolynomialPiece:
    """A polynomial of degree five."""

    def __init__(self, length: float, coefficients: np.ndarray) -> None:
        """Last `length` seconds; `coefficients` `[6, J]` are those of the powers of the part that is over, 0..1."""
        self.length = length
        self._coefficients = coefficients

    def state(self, elapsed: float) -> np.ndarray:
        """See `MotionPiece`."""
        u, rate = elapsed / self.length, 1.0 / self.length
        u2, u3, u4 = u * u, u**3, u**4
        powers = np.array(
            [
                [1.0, u, u2, u3, u4, u4 * u],
                [0.0, rate, 2.0 * rate * u, 3.0 * rate * u2, 4.0 * rate * u3, 5.0 * rate * u4],
                [0.0, 0.0, 2.0 * rate**2, 6.0 * rate**2 * u, 12.0 * rate**2 * u2, 20.0 * rate**2 * u3],
            ]
        )
        return np.asarray(powers @ self._coefficients)


class JerkLimitedPiece:
    """Each joint in phases of constant jerk, at times of its own."""

    def __init__(self, start: np.ndarray, durations: np.ndarray, jerks: np.ndarray) -> None:
        """Go on from the state `start` `[3, J]` through phases of `durations` (s) and `jerks` (rad/s³), both `[P, J]`.

        A joint whose phases are over keeps its acceleration.
        """
        self._begins = np.concatenate([np.zeros_like(durations[:1]), np.cumsum(durations, axis=0)])
        self.length = float(self._begins[-1].max())
        states, state = [start], start
        for duration, jerk in zip(durations, jerks, strict=True):
            state = _with_jerk(state, jerk, duration)
            states.append(state)
        self._states = np.array(states)
        self._jerks = np.concatenate([jerks, np.zeros_like(jerks[:1])])
        self._joints = np.arange(durations.shape[1])

    def state(self, elapsed: float) -> np.ndarray:
        """See `MotionPiece`."""
        time = min(elapsed, self.length)
        phase = np.count_nonzero(self._begins[1:] <= time, axis=0)
        joints, since = self._joints, time - self._begins[phase, self._joints]
        return _with_jerk(self._states[phase, :, joints].T, self._jerks[phase, joints], since)


def _with_jerk(state: np.ndarray, jerk: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
    """The state `[3, J]` after a time `elapsed` `[J]` of constant jerk `[J]`."""
    position, velocity, acceleration = state
    gained = jerk * elapsed
    return np.array(
        [
            position + elapsed * (velocity + elapsed * (acceleration / 2.0 + gained / 6.0)),
            velocity + elapsed * (acceleration + gained / 2.0),
            acceleration + gained,
        ]
    )


@dataclass(frozen=True)
class MotionPlan:
    """Where the joints are at any time. Immutable, so that any thread may look at it.

    Times inside a plan count from its origin: seconds since 1970 leave float64 only quarters of microseconds.

    Attributes:
        origin: When the first piece begins, in seconds.
        pieces: One after another.
        target: `[J]` rad, where it rests after the last piece.
        before: What held until then; the first state of this plan if None.
        is_limited: Whether the waypoints asked for more than the limits.
    """

    origin: float
    pieces: tuple[MotionPiece, ...]
    target: np.ndarray
    before: "MotionPlan | None" = None
    is_limited: bool = False
    _begins: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ends = accumulate((piece.length for piece in self.pieces), initial=0.0)
        object.__setattr__(self, "_begins", tuple(ends))

    @property
    def end(self) -> float:
        """Time of rest in seconds."""
        return self.origin + self._begins[-1]

    def state(self, now: float) -> np.ndarray:
        """Position, velocity and acceleration at time `now` in seconds, `[3, J]`."""
        elapsed = now - self.origin
        if elapsed < 0.0:
            if self.before is not None:
                return self.before.state(now)
            elapsed = 0.0
        begins = self._begins
        if elapsed >= begins[-1]:
            return np.stack([self.target, np.zeros_like(self.target), np.zeros_like(self.target)])
        index = bisect_right(begins, elapsed) - 1
        return self.pieces[index].state(elapsed - begins[index])

    def states(self, times: Sequence[float]) -> np.ndarray:
        """`state` at n times, `[n, 3, J]`."""
        return np.stack([self.state(float(time)) for time in times])

    def active_at(self, now: float) -> "MotionPlan":
        """The plan that holds at time `now`, without what came before it."""
        if now < self.origin and self.before is not None:
            return self.before.active_at(now)
        return self if self.before is None else replace(self, before=None)
