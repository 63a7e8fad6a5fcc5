"""MoveIt Servo, told how fast each joint shall turn."""

import importlib
from types import ModuleType

import numpy as np
from rclpy.node import Node

from dvla_ros.control.execution import Command
from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.errors import DependencyError
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.backends.gripper_trajectory import GripperTrajectory
from dvla_ros.nodes.backends.servo_link import SERVO, ServoLink
from dvla_ros.nodes.backends.servo_tracking import CommandHistory, correction, is_recent
from dvla_ros.nodes.conversions import to_time

JOINT_JOG = 0

JOINT_CORRECTION = 0.3
"""Most that the joints are driven beyond the commanded velocity to take an error back, in rad/s."""


class ServoJointBackend(CommandBackend):
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

    wants_measured = True

    def __init__(
        self, node: Node, robot_name: str, control_hz: float, with_gripper: bool = True, servo: str = SERVO
    ) -> None:
        messages = _control_messages()
        self._link = ServoLink(node, servo, JOINT_JOG, control_hz)
        self._gripper = GripperTrajectory(node, robot_name, 1.0 / control_hz) if with_gripper else None
        self._publisher = node.create_publisher(messages.JointJog, self._link.input_topic, 10)
        self._history = CommandHistory()
        self._measured, self._measured_time = np.zeros(6), float("-inf")
        self._message = messages.JointJog(joint_names=list(ARM_JOINTS), duration=1.0 / control_hz)
        self._message.header.frame_id = f"{robot_name}/base_link"
        self.topics = (*self._link.topics, *([self._gripper.topic] if self._gripper else []))

    def measured(self, joints: np.ndarray, now: float) -> None:
        """Note where the arm is, `[6]` in rad, at the time `now` in seconds; to be called before `send`."""
        self._measured, self._measured_time = joints, now

    def send(self, command: Command, now: float) -> None:
        """Send the velocities; nothing before Servo has been switched to joint velocities."""
        self._history.add(command.arm, now)
        if not self._link.switched:
            return
        self._message.header.stamp = to_time(now)
        self._message.velocities = self._velocity(command, now).tolist()
        self._publisher.publish(self._message)
        if self._gripper is not None:
            self._gripper.send(command.gripper, now)

    def problem(self) -> str:
        """Why Servo does not do what it is asked for; empty while it does."""
        return self._link.problem()

    def numbers(self) -> dict[str, float]:
        """What Servo says of itself, for diagnostics."""
        return self._link.numbers()

    def rehearse(self) -> None:
        """Send without Servo: its commands arrive nowhere."""
        self._link.rehearse()

    def close(self) -> None:
        """Stop watching Servo; it halts when no command comes."""
        self._link.close()

    def _velocity(self, command: Command, now: float) -> np.ndarray:
        """`[6]` rad/s: the commanded velocity and the correction."""
        if self._link.problem() or not is_recent(self._measured_time, now):
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
