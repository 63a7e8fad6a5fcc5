"""Time-optimal motion within limits of velocity, acceleration and jerk, computed by Ruckig."""

import numpy as np
from ruckig import ControlInterface, InputParameter, Result, Ruckig, RuckigError, Synchronization, Trajectory

from dvla_ros.control.motion_plan import JerkLimitedPiece

_ROUNDING = 1e-6
"""A state beyond a limit by this part of it is taken for one at the limit."""


class JerkLimitedPlanner:
    """Plans from one state of J joints to another.

    The algorithm: Berscheid and Kröger, "Jerk-limited real-time trajectory generation with arbitrary target states",
    RSS 2021. No object of that library outlives a call: those that are left when a process ends are reported as leaks
    on its standard error.
    """

    def __init__(self, joints: int) -> None:
        self._joints = joints
        self._zeros = [0.0] * joints

    def reach(
        self, start: np.ndarray, target: np.ndarray, velocity: np.ndarray, limits: np.ndarray, duration: float
    ) -> JerkLimitedPiece | None:
        """The motion to a position, as fast as the limits allow, but not shorter than `duration`.

        Args:
            start: `[3, J]` position, velocity, acceleration.
            target: `[J]` rad.
            velocity: `[J]` rad/s on arrival; the acceleration is then zero.
            limits: `[3, J]` largest velocity, acceleration and jerk.
            duration: Seconds.

        Returns:
            None if there is none, which rounding can bring about.
        """
        request = self._request(start, limits)
        request.target_position, request.target_velocity = target.tolist(), velocity.tolist()
        if duration > 0.0:
            request.minimum_duration = duration
        return self._piece(request, start, limits)

    def shortest(self, start: np.ndarray, target: np.ndarray, velocity: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """Seconds `[J]` that each joint by itself needs at least for `reach`; infinity if there is no way."""
        request = self._request(start, limits)
        request.target_position, request.target_velocity = target.tolist(), velocity.tolist()
        trajectory = self._calculate(request, start, limits)
        return np.full(self._joints, np.inf) if trajectory is None else np.array(trajectory.independent_min_durations)

    def brake(self, start: np.ndarray, limits: np.ndarray) -> JerkLimitedPiece | None:
        """The motion to rest, each joint as fast as its limits allow; None if there is none."""
        request = self._request(start, limits)
        request.control_interface = ControlInterface.Velocity
        request.synchronization = Synchronization.No
        request.target_velocity = self._zeros
        return self._piece(request, start, limits)

    def _request(self, start: np.ndarray, limits: np.ndarray) -> InputParameter:
        request = InputParameter(self._joints)
        request.current_position, request.current_velocity, request.current_acceleration = start.tolist()
        request.max_velocity, request.max_acceleration, request.max_jerk = limits.tolist()
        request.target_acceleration = self._zeros
        return request

    def _piece(self, request: InputParameter, start: np.ndarray, limits: np.ndarray) -> JerkLimitedPiece | None:
        """The phases of each joint: those that bring its state into the limits, and those of the way itself."""
        trajectory = self._calculate(request, start, limits)
        if trajectory is None:
            return None
        begin = np.array([request.current_position, request.current_velocity, request.current_acceleration])
        profiles = [(profile, profile.brake) for profile in trajectory.profiles[0]]
        durations = np.array([[*brake.t, *profile.t] for profile, brake in profiles]).T
        jerks = np.array([[*brake.j, *profile.j] for profile, brake in profiles]).T
        return JerkLimitedPiece(begin, durations, jerks)

    def _calculate(self, request: InputParameter, start: np.ndarray, limits: np.ndarray) -> Trajectory | None:
        """The trajectory; if refused, that from a state moved into the limits by a rounding error."""
        trajectory = self._tried(request)
        if trajectory is not None:
            return trajectory
        bounds = limits[:2] * (1.0 - _ROUNDING)
        request.current_velocity, request.current_acceleration = np.clip(start[1:], -bounds, bounds).tolist()
        request.target_velocity = np.clip(request.target_velocity, -bounds[0], bounds[0]).tolist()
        return self._tried(request)

    def _tried(self, request: InputParameter) -> Trajectory | None:
        trajectory = Trajectory(self._joints)
        try:
            result = Ruckig(self._joints).calculate(request, trajectory)
        except RuckigError:
            return None
        return trajectory if result in (Result.Working, Result.Finished) else None
