"""Executes joint trajectories the way ros2_control's joint_trajectory_controller does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.errors import ActionError


@dataclass(frozen=True)
class JointTrajectory:
    """Way points of J joints.

    Attributes:
        names: J joint names in the order of the columns.
        start: Time in seconds from which `times` count; 0 means "on reception".
        times: float64 `[N]`, seconds after `start`, strictly increasing (`time_from_start`).
        positions: float64 `[N, J]`.
        velocities: float64 `[N, J]`, or None: straight lines between the points.
        accelerations: float64 `[N, J]`, or None; needs velocities.
    """

    names: tuple[str, ...]
    start: float
    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None = None
    accelerations: np.ndarray | None = None


@dataclass(frozen=True)
class _Knot:
    """State of all joints at one time; derivatives that are not given are None."""

    time: float
    position: np.ndarray
    velocity: np.ndarray | None
    acceleration: np.ndarray | None


class TrajectoryExecutor:
    """Holds one trajectory at a time; a new one replaces the running one at once.

    Facts of joint_trajectory_controller that are kept: every joint must be commanded (`allow_partial_joints_goal`
    false), the last velocity must be zero (`allow_nonzero_velocity_at_trajectory_end` false), a new trajectory whose
    first point is still to come starts at the present desired state (`interpolate_from_desired_state` true, which
    streaming needs), one that has begun already is joined where it is now, the last point is held.

    Args:
        names: The J joints of this controller.
        position: float64 `[J]`, what is held until the first trajectory arrives.
    """

    def __init__(self, names: Sequence[str], position: np.ndarray) -> None:
        self.names = tuple(names)
        self._knots: tuple[_Knot, ...] = (_Knot(0.0, np.array(position, dtype=float), None, None),)

    def hold(self, position: np.ndarray) -> None:
        """Drop the trajectory and hold float64 `[J]`."""
        self._knots = (_Knot(0.0, np.array(position, dtype=float), None, None),)

    def accept(self, trajectory: JointTrajectory, now: float) -> None:
        """Replace the running trajectory.

        Raises:
            ActionError: The controller would refuse it; the running trajectory goes on.
        """
        columns = self._columns(trajectory)
        _check_points(trajectory)
        start = trajectory.start if trajectory.start > 0.0 else now
        if start + trajectory.times[-1] < now:
            late = now - start - trajectory.times[-1]
            raise ActionError(
                f"A joint trajectory ended {late:.3f} s before it arrived; check clocks and header.stamp."
            )
        knots = _knots(trajectory, start, columns)
        self._knots = (_Knot(now, *self._state(now)), *knots) if knots[0].time > now else tuple(knots)

    def sample(self, now: float) -> np.ndarray:
        """Desired positions float64 `[J]` at a time in seconds."""
        return self._state(now)[0]

    def _state(self, now: float) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        after = next((index for index, knot in enumerate(self._knots) if knot.time > now), None)
        if after is None:
            return (self._knots[-1].position, np.zeros(len(self.names)), np.zeros(len(self.names)))
        if after == 0:
            return (self._knots[0].position, np.zeros(len(self.names)), np.zeros(len(self.names)))
        return _interpolate(self._knots[after - 1], self._knots[after], now)

    def _columns(self, trajectory: JointTrajectory) -> list[int]:
        unknown = [name for name in trajectory.names if name not in self.names]
        missing = [name for name in self.names if name not in trajectory.names]
        if unknown or missing or len(trajectory.names) != len(self.names):
            raise ActionError(
                f"A joint trajectory must name each of {', '.join(self.names)} once; "
                f"unknown: {', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}."
            )
        return [trajectory.names.index(name) for name in self.names]


def _check_points(trajectory: JointTrajectory) -> None:
    count, width = len(trajectory.times), len(trajectory.names)
    if count == 0:
        raise ActionError("A joint trajectory has no points.")
    if trajectory.accelerations is not None and trajectory.velocities is None:
        raise ActionError("A joint trajectory has accelerations without velocities.")
    for what, values in (
        ("positions", trajectory.positions),
        ("velocities", trajectory.velocities),
        ("accelerations", trajectory.accelerations),
    ):
        if values is not None and (values.shape != (count, width) or not np.isfinite(values).all()):
            raise ActionError(f"A joint trajectory needs {width} finite {what} in each of its {count} points.")
    if trajectory.times[0] < 0.0 or (np.diff(trajectory.times) <= 0.0).any():
        raise ActionError(f"time_from_start must increase strictly from 0 s on, got {trajectory.times.tolist()} s.")
    if trajectory.velocities is not None and np.abs(trajectory.velocities[-1]).max() > 1e-6:
        raise ActionError("The last point of a joint trajectory must have zero velocity.")


def _knots(trajectory: JointTrajectory, start: float, columns: list[int]) -> list[_Knot]:
    def row(values: np.ndarray | None, index: int) -> np.ndarray | None:
        return None if values is None else np.array(values[index, columns], dtype=float)

    return [
        _Knot(
            start + float(time),
            np.array(trajectory.positions[index, columns], dtype=float),
            row(trajectory.velocities, index),
            row(trajectory.accelerations, index),
        )
        for index, time in enumerate(trajectory.times)
    ]


def _interpolate(a: _Knot, b: _Knot, now: float) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Linear, cubic or quintic between two knots, by the derivatives that the later one gives."""
    duration = b.time - a.time
    conditions = [(a.position, b.position)]
    for start, end in ((a.velocity, b.velocity), (a.acceleration, b.acceleration)):
        if end is None:
            break
        conditions.append((np.zeros_like(end) if start is None else start, end))
    coefficients = _polynomial(conditions, duration)
    return _evaluate(coefficients, (now - a.time) / duration, duration)


def _polynomial(conditions: list[tuple[np.ndarray, np.ndarray]], duration: float) -> np.ndarray:
    """Coefficients `[2 n, J]` in s = t / duration that meet n derivatives (from the 0th up) at s = 0 and at s = 1."""
    size = 2 * len(conditions)
    system, right = np.zeros((size, size)), []
    for order, (start, end) in enumerate(conditions):
        factors = np.array([np.prod(np.arange(k, k - order, -1)) if k >= order else 0.0 for k in range(size)])
        system[2 * order, order] = factors[order]
        system[2 * order + 1] = factors
        right += [start * duration**order, end * duration**order]
    return np.asarray(np.linalg.solve(system, np.stack(right)))


def _evaluate(
    coefficients: np.ndarray, s: float, duration: float
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    states = []
    for order in range(3):
        weights = [
            np.prod(np.arange(k, k - order, -1)) * s ** (k - order) if k >= order else 0.0
            for k in range(len(coefficients))
        ]
        states.append(np.asarray(weights) @ coefficients / duration**order)
    return states[0], states[1], states[2]
