"""The last look at every command, in the thread that sends it."""

import numpy as np

from dvla_ros.control.region import Outside, Region
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.safety_checks import check_finite, check_magnitude
from dvla_ros.control.verdict import ACCEPTED, Verdict, rejected

_TOLERANCE = 1e-3
"""Part by which the change between two ticks may exceed a limit: clock readings are exact to a quarter microsecond."""

_BETWEEN_LOOKS = 1e-5
"""rad and metres: at 20 rad/s² no joint is further out than at both ends of 2 ms by more than a h² / 8 of that."""

_SHORTEST_S, _SHORTEST_STEP = 1e-3, 1e-5
"""Between ticks that are closer (seconds), speed is the step over rounding: it may be that much (rad) longer."""


class TickCheck:
    """Compares each command with those before it. Belongs to one thread.

    Args:
        config: The limits.
        joints: `[6]` rad, commanded first.
        gripper: Commanded first, 0..1.
    """

    def __init__(self, config: SafetyConfig, joints: np.ndarray, gripper: float) -> None:
        self._region = Region(config)
        self._velocity_limit = np.array(config.joint_velocity)
        self._acceleration_limit = np.array(config.joint_acceleration)
        self._gripper_s = config.gripper_s
        self._joints, self._gripper = joints, gripper
        self._velocity: np.ndarray | None = np.zeros(6)
        self._elapsed = 0.0
        self._allowed = self._region.outside(joints)

    def allow(self, *joints: np.ndarray) -> None:
        """A motion begins at these `joints` `[6]` rad: where they are outside, commands may be as far out.

        The motion was looked at every 2 ms then; in between it may be `_BETWEEN_LOOKS` further out.
        """
        allowed = [self._region.outside(start) for start in joints]
        beyond, box = np.max([out.joints for out in allowed], axis=0), max(out.box for out in allowed)
        self._allowed = Outside(beyond + _BETWEEN_LOOKS * (beyond > 0.0), box + _BETWEEN_LOOKS * (box > 0.0))

    def pause(self) -> None:
        """Ticks were missing: nothing can be said about the next change of speed."""
        self._velocity = None

    def check(self, joints: np.ndarray, gripper: float, elapsed: float) -> Verdict:
        """Whether a command may be sent; if so, the next one is compared with it.

        Args:
            joints: `[6]` rad about to be commanded.
            gripper: Opening about to be commanded.
            elapsed: Seconds since the command before.
        """
        verdict = self._check_values(joints, gripper, elapsed)
        if not verdict.accepted:
            return verdict
        if elapsed < _SHORTEST_S:
            step, limit = (joints - self._joints)[None], self._velocity_limit * elapsed + _SHORTEST_STEP
            verdict = check_magnitude(step, limit, "joint_velocity", "rad at once")
            return self._take(joints, gripper, self._velocity, self._elapsed) if verdict.accepted else verdict
        velocity = (joints - self._joints) / elapsed
        verdict = self._check_speed(velocity, elapsed)
        return self._take(joints, gripper, velocity, elapsed) if verdict.accepted else verdict

    def _take(self, joints: np.ndarray, gripper: float, velocity: np.ndarray | None, elapsed: float) -> Verdict:
        self._joints, self._gripper, self._velocity, self._elapsed = joints, gripper, velocity, elapsed
        return ACCEPTED

    def _check_values(self, joints: np.ndarray, gripper: float, elapsed: float) -> Verdict:
        verdict = check_finite(joints)
        if not verdict.accepted:
            return verdict
        if not 0.0 <= gripper <= 1.0:
            return rejected("gripper_range", f"Gripper command {gripper} is outside 0..1.")
        if abs(gripper - self._gripper) > elapsed / self._gripper_s + _TOLERANCE:
            return rejected("gripper_speed", f"Gripper from {self._gripper:.3f} to {gripper:.3f} in {elapsed:.4f} s.")
        return self._region.check_one(joints, self._allowed)

    def _check_speed(self, velocity: np.ndarray, elapsed: float) -> Verdict:
        verdict = check_magnitude(velocity[None], self._velocity_limit * (1.0 + _TOLERANCE), "joint_velocity", "rad/s")
        if not verdict.accepted or self._velocity is None:
            return verdict
        change = (velocity - self._velocity) / (0.5 * (elapsed + (self._elapsed or elapsed)))
        limit = self._acceleration_limit * (1.0 + _TOLERANCE) + _TOLERANCE / elapsed
        return check_magnitude(change[None], limit, "joint_acceleration", "rad/s²")
