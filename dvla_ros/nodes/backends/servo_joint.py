"""MoveIt Servo, told how fast each joint shall turn."""

import importlib
from types import ModuleType

import numpy as np
from rclpy.node import Node

from dvla_ros.control.execution import Command
from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.errors import DependencyError
from dvla_ros.nodes.backends.servo_backend import ServoVelocityBackend
from dvla_ros.nodes.backends.servo_link import SERVO
from dvla_ros.nodes.backends.servo_tracking import correction

JOINT_JOG = 0

JOINT_CORRECTION = 0.3
"""Most that the joints are driven beyond the commanded velocity to take an error back, in rad/s."""


class ServoJointBackend(ServoVelocityBackend):
    """Sends joint velocities (`control_msgs/msg/JointJog`, rad/s); Servo knows no joint positions.

    The velocity is the commanded one, plus a small term that takes back what the measured joints are away from those
    commanded a lag ago: velocities alone would let every error of Servo and its controllers add up. Without a
    recent measurement, and while Servo halts, there is no such term. Servo's `command_in_type` must be `speed_units`.

    Args:
        node: Owner of publishers, subscription and client.
        robot_name: Namespace of the robot's topics.
        control_hz: Commands per second, 50 or more.
        with_gripper: Send the gripper to its own controller, too; Servo's group has no fingers.
        servo: Fully qualified name of the Servo node.

    Raises:
        ConfigurationError: The rate is too low.
        DependencyError: control_msgs or moveit_msgs is not installed.
    """

    def __init__(
        self, node: Node, robot_name: str, control_hz: float, with_gripper: bool = True, servo: str = SERVO
    ) -> None:
        message = _control_messages().JointJog(joint_names=list(ARM_JOINTS), duration=1.0 / control_hz)
        super().__init__(node, robot_name, control_hz, with_gripper, servo, JOINT_JOG, message)

    def _fill(self, command: Command, now: float) -> None:
        self._message.velocities = self._velocity(command, now).tolist()

    def _velocity(self, command: Command, now: float) -> np.ndarray:
        """`[6]` rad/s: the commanded velocity and the correction."""
        if not self._can_correct(now):
            return command.arm_velocity
        return command.arm_velocity + correction(self._history.due - self._measured, JOINT_CORRECTION)


def _control_messages() -> ModuleType:
    try:
        return importlib.import_module("control_msgs.msg")
    except ModuleNotFoundError as error:
        raise DependencyError(
            "backend 'servo_joint' needs control_msgs/msg/JointJog. Install the apt package "
            "ros-$ROS_DISTRO-control-msgs, or choose backend servo_pose or servo_twist."
        ) from error
