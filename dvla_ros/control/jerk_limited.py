"""Time-optimal motion within limits of velocity, acceleration and jerk, computed by Ruckig."""

import numpy as np
from ruckig import ControlInterface, InputParameter, Result, Ruckig, RuckigError, Synchronization, Trajectory

_ROUNDING = 1e-6
"""A state beyond a limit by this part of it is taken for one at the limit."""


class JerkLimitedPlanner:
    """Plans from one state of J joints to another; not to be shared by threads.

    The algorithm: Berscheid and Kröger, "Jerk-limited real-time trajectory generation with arbitrary target states",
    RSS 2021.
    """

    def __init__(self, joints: int) -> None:
        self._joints = joints
        self._otg = Ruckig(joints)
        self._zeros = [0.0] * joints

    def reach(
        self, start: np.ndarray, target: np.ndarray, velocity: np.ndarray, limits: np.ndarray, duration: float
    ) -> Trajectory | None:
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
        return self._calculate(request, start, limits)

    def brake(self, start: np.ndarray, limits: np.ndarray) -> Trajectory | None:
        """The motion to rest, each joint as fast as its limits allow; None if there is none."""
        request = self._request(start, limits)
        request.control_interface = ControlInterface.Velocity
        request.synchronization = Synchronization.No
        request.target_velocity = self._zeros
        return self._calculate(request, start, limits)

    def _request(self, start: np.ndarray, limits: np.ndarray) -> InputParameter:
        request = InputParameter(self._joints)
        request.current_position, request.current_velocity, request.current_acceleration = start.tolist()
        request.max_velocity, request.max_acceleration, request.max_jerk = limits.tolist()
        request.target_acceleration = self._zeros
        return request

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
            result = self._otg.calculate(request, trajectory)
        except RuckigError:
            return None
        return trajectory if result in (Result.Working, Result.Finished) else None
