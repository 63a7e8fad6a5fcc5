"""One trajectory that brings a moving arm to rest, for a controller that follows one whose sender is gone."""

import numpy as np
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.widowx import ARM_JOINTS, LOWER, UPPER
from dvla_ros.nodes.conversions import joints_by_name, to_duration

DECELERATION = 20.0
"""rad/s²; what the command path allows itself, too."""

_SHORTEST_S = 0.1


def stopping_trajectory(message: JointState) -> JointTrajectory:
    """From the measured joints at their measured speed to rest, all joints in the time of the fastest.

    An empty trajectory would do for the controllers of ROS 1; joint_trajectory_controller of ROS 2 refuses one.

    Raises:
        ObservationError: A joint of the arm is missing or not finite.
    """
    positions = joints_by_name(message, ARM_JOINTS)
    velocities = _velocities(message)
    duration = max(_SHORTEST_S, float(np.abs(velocities).max()) / DECELERATION)
    rest = np.clip(positions + 0.5 * duration * velocities, LOWER, UPPER)
    point = JointTrajectoryPoint(positions=rest.tolist(), velocities=[0.0] * 6, time_from_start=to_duration(duration))
    return JointTrajectory(joint_names=list(ARM_JOINTS), points=[point])


def _velocities(message: JointState) -> np.ndarray:
    """Velocities `[6]` of the arm's joints in rad/s; zeros when the driver sends none."""
    by_name = dict(zip(message.name, message.velocity, strict=False))
    return np.nan_to_num(np.array([by_name.get(name, 0.0) for name in ARM_JOINTS]))
