"""The newest joint state of the arm, shared between the executor's thread and the control thread."""

from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import JointState

from dvla_ros.control.widowx import ARM_JOINTS, VELOCITY_LIMIT
from dvla_ros.nodes.conversions import joints_by_name, seconds

MEASURED_JOINTS = (*ARM_JOINTS, "left_finger")
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
    """Keeps the newest joint state.

    Args:
        timeout_s: A joint state older than this counts as missing.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout = timeout_s
        self.newest: MeasuredJoints | None = None

    def receive(self, message: JointState, now: float) -> bool:
        """Take over a message received at `now` seconds; True when the arm was moved there by no motor.

        That is so when a simulated scene is reset: between two joint states a joint went further than its velocity
        limit allows.

        Raises:
            ObservationError: A joint is missing or not finite; the newest joint state stays.
        """
        positions = joints_by_name(message, MEASURED_JOINTS)
        before = self.newest
        self.newest = MeasuredJoints(seconds(message.header.stamp), now, positions[:6], float(positions[6]))
        return before is not None and _jumped(before, self.newest)

    def fresh(self, now: float) -> MeasuredJoints | None:
        """The newest joint state, or None when there is none or it is too old at the time `now` in seconds."""
        newest = self.newest
        return newest if newest is not None and now - newest.received <= self._timeout else None


def _jumped(before: MeasuredJoints, after: MeasuredJoints) -> bool:
    elapsed = max(after.stamp - before.stamp, after.received - before.received, 0.0)
    reach = _SPEED_SLACK * VELOCITY_LIMIT * elapsed + _JUMP_SLACK
    return bool((np.abs(after.arm - before.arm) > reach).any())
