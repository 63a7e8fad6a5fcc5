"""What the backends for MoveIt Servo share: one type of command on one topic, the gripper beside it, Servo watched."""

from abc import abstractmethod
from typing import Any

import numpy as np
from rclpy.node import Node

from dvla_ros.control.execution import Command
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.backends.gripper_trajectory import GripperTrajectory
from dvla_ros.nodes.backends.servo_link import ServoLink
from dvla_ros.nodes.backends.servo_tracking import CommandHistory, is_recent
from dvla_ros.nodes.conversions import to_time


class ServoBackend(CommandBackend):
    """Sends one message per command, once Servo has been switched to its type.

    Args:
        node: Owner of publishers, subscription and client.
        robot_name: Namespace of the robot's topics and prefix of its links.
        control_hz: Commands per second, 50 or more.
        with_gripper: Send the gripper to its own controller, too; Servo's group has no fingers.
        servo: Fully qualified name of the Servo node.
        command_type: Of Servo's types of command, see `servo_link.INPUTS`.
        message: Filled and sent again and again.

    Raises:
        ConfigurationError: The rate is too low.
        DependencyError: moveit_msgs is not installed.
    """

    def __init__(
        self,
        node: Node,
        robot_name: str,
        control_hz: float,
        with_gripper: bool,
        servo: str,
        command_type: int,
        message: Any,
    ) -> None:
        self._link = ServoLink(node, servo, command_type, control_hz)
        self._gripper = GripperTrajectory(node, robot_name, 1.0 / control_hz) if with_gripper else None
        self._publisher = node.create_publisher(type(message), self._link.input_topic, 10)
        self._message = message
        self._message.header.frame_id = f"{robot_name}/base_link"
        self.topics = (*self._link.topics, *([self._gripper.topic] if self._gripper else []))

    def send(self, command: Command, now: float) -> None:
        """Send the command; nothing before Servo has been switched."""
        if not self._link.switched:
            return
        self._message.header.stamp = to_time(now)
        self._fill(command, now)
        self._publisher.publish(self._message)
        if self._gripper is not None:
            self._gripper.send(command.gripper, now)

    @abstractmethod
    def _fill(self, command: Command, now: float) -> None:
        """Write the arm's part of the command into the message; `now` in seconds."""

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


class ServoVelocityBackend(ServoBackend):
    """Sends velocities, and knows what there is to correct: alone they would let every error of Servo add up."""

    wants_measured = True

    def __init__(self, *arguments: Any) -> None:
        """See `ServoBackend`."""
        super().__init__(*arguments)
        self._history = CommandHistory()
        self._measured, self._measured_time = np.zeros(6), float("-inf")

    def measured(self, joints: np.ndarray, now: float) -> None:
        """Note where the arm is, `[6]` in rad, at the time `now` in seconds; to be called before `send`."""
        self._measured, self._measured_time = joints, now

    def send(self, command: Command, now: float) -> None:
        """Send the command; nothing before Servo has been switched."""
        self._history.add(command.arm, now)
        super().send(command, now)

    def _can_correct(self, now: float) -> bool:
        """Whether there is a recent measurement, and Servo does what it is asked for."""
        return is_recent(self._measured_time, now) and not self._link.problem()
