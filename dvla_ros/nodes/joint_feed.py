"""The newest joint state of the arm, shared between the executor's thread and the control thread."""

from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import JointState

from dvla_ros.control.joint_positions import MEASURED_JOINTS as MEASURED_JOINTS
from dvla_ros.control.joint_positions import joint_positions
from dvla_ros.control.widowx import VELOCITY_LIMIT
from dvla_ros.errors import ObservationError
from dvla_ros.nodes.conversions import seconds

_JUMP_SLACK = 0.05
_SPEED_SLACK = 2.0


@dataclass(frozen=True)
class MeasuredJoints:
    """One joint state: stamp and reception time in seconds, arm float64 `[6]` rad, finger in m."""

    stamp: float
    received: float
    arm: np.ndarray
    finger: float


class JointFeed:
    """Keeps the newest joint state. A repeated one, whose stamp is set and not newer, does not count as new.

    Args:
        timeout_s: A joint state older than this counts as missing.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout = timeout_s
        self._refused = ""
        self.newest: MeasuredJoints | None = None

    def receive(self, message: JointState, now: float) -> bool:
        """Take over a message received at `now` seconds; True when the arm was moved there by no motor.

        That is so when a simulated scene is reset: between two joint states a joint went further than its velocity
        limit allows.

        Raises:
            ObservationError: A joint is missing or not finite; the newest joint state stays.
        """
        try:
            positions = joint_positions(message, MEASURED_JOINTS)
        except ObservationError as error:
            self._refused = str(error)
            raise
        before, stamp = self.newest, seconds(message.header.stamp)
        if before is not None and stamp == before.stamp != 0.0:
            self._refused = f"the same joint state, stamped {stamp:.3f} s, comes again and again."
            return False
        self._refused = ""
        self.newest = MeasuredJoints(stamp, now, positions[:6], float(positions[6]))
        return before is not None and _jumped(before, self.newest)

    def fresh(self, now: float) -> MeasuredJoints | None:
        """The newest joint state, or None when there is none or it is too old at the time `now` in seconds.

        One from the future is none either: then the clock was set back after its arrival.
        """
        newest = self.newest
        return newest if newest is not None and abs(now - newest.received) <= self._timeout else None

    def problem(self, now: float) -> str:
        """Why there is no fresh joint state at the time `now`; empty when there is one."""
        if self.fresh(now) is not None:
            return ""
        if self._refused:
            return self._refused
        if self.newest is None:
            return "no joint_states arrived yet."
        return f"joint_states stopped {now - self.newest.received:.2f} s ago."


def _jumped(before: MeasuredJoints, after: MeasuredJoints) -> bool:
    elapsed = max(after.stamp - before.stamp, after.received - before.received, 0.0)
    reach = _SPEED_SLACK * VELOCITY_LIMIT * elapsed + _JUMP_SLACK
    return bool((np.abs(after.arm - before.arm) > reach).any())
