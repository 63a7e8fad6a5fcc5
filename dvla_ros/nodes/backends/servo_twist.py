"""MoveIt Servo, told how fast the end effector shall move."""

import numpy as np
from geometry_msgs.msg import TwistStamped, Vector3
from rclpy.node import Node

from dvla_ros.control.execution import Command
from dvla_ros.control.kinematics import forward
from dvla_ros.nodes.backends.servo_backend import ServoVelocityBackend
from dvla_ros.nodes.backends.servo_link import SERVO
from dvla_ros.nodes.backends.servo_tracking import correction, pose_difference

TWIST = 1

LINEAR_CORRECTION = 0.05
ANGULAR_CORRECTION = 0.3
"""Most that the arm is driven beyond the commanded velocity to take an error back, in m/s and rad/s."""


class ServoTwistBackend(ServoVelocityBackend):
    """Sends the velocity of the end effector (`TwistStamped`, m/s and rad/s along the axes of `<robot>/base_link`).

    The velocity is that of the commanded pose, plus a small term that takes back what the measured pose is away from
    the one commanded a lag ago: velocities alone would let every error of Servo and its controllers add up. Without a
    recent measurement, and while Servo halts, there is no such term. Servo's `command_in_type` must be `speed_units`
    and `apply_twist_commands_about_ee_frame` true; the tip of its group must be `<robot>/ee_gripper_link`.

    Args:
        node: Owner of publishers, subscription and client.
        robot_name: Namespace of the robot's topics and prefix of its links.
        control_hz: Commands per second, 50 or more.
        with_gripper: Send the gripper to its own controller, too; Servo's group has no fingers.
        servo: Fully qualified name of the Servo node.

    Raises:
        ConfigurationError: The rate is too low.
        DependencyError: moveit_msgs is not installed.
    """

    def __init__(
        self, node: Node, robot_name: str, control_hz: float, with_gripper: bool = True, servo: str = SERVO
    ) -> None:
        super().__init__(node, robot_name, control_hz, with_gripper, servo, TWIST, TwistStamped())
        self._period = 1.0 / control_hz

    def _fill(self, command: Command, now: float) -> None:
        vx, vy, vz, wx, wy, wz = self._twist(command, now).tolist()
        self._message.twist.linear = Vector3(x=vx, y=vy, z=vz)
        self._message.twist.angular = Vector3(x=wx, y=wy, z=wz)

    def _twist(self, command: Command, now: float) -> np.ndarray:
        """`[6]` m/s and rad/s: where the commanded velocity leads in one period, and the correction."""
        ahead = forward(command.arm + self._period * command.arm_velocity)
        twist = pose_difference(forward(command.arm), ahead) / self._period
        if self._can_correct(now):
            error = pose_difference(forward(self._measured), forward(self._history.due))
            twist[:3] += correction(error[:3], LINEAR_CORRECTION)
            twist[3:] += correction(error[3:], ANGULAR_CORRECTION)
        return twist
