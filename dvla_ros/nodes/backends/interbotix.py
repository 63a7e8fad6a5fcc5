"""Streams to the Interbotix X-series driver (`xs_sdk`), which writes to the servos whatever arrives."""

import importlib
from types import ModuleType

from rclpy.node import Node

from dvla_ros.control.controller import Command
from dvla_ros.control.widowx import finger_from_gripper
from dvla_ros.errors import DependencyError


class InterbotixBackend:
    """Sends the group `arm` in rad and the joint `gripper` as the distance between the fingers in metres.

    The driver's default operating modes do not fit: give the arm a time profile of about 1.25 control periods (or
    none) instead of 2000 ms, and the gripper `linear_position` instead of `pwm` (`set_operating_modes`).

    Raises:
        DependencyError: interbotix_xs_msgs is not installed.
    """

    def __init__(self, node: Node, robot_name: str) -> None:
        self._messages = _interbotix_messages()
        self.topics: tuple[str, ...] = (f"/{robot_name}/commands/joint_group", f"/{robot_name}/commands/joint_single")
        self._arm = node.create_publisher(self._messages.JointGroupCommand, self.topics[0], 10)
        self._gripper = node.create_publisher(self._messages.JointSingleCommand, self.topics[1], 10)
        self._finger = float("nan")

    def send(self, command: Command, now: float) -> None:
        """Send the arm's joints, and the gripper when it changed."""
        self._arm.publish(self._messages.JointGroupCommand(name="arm", cmd=command.arm.tolist()))
        finger = finger_from_gripper(command.gripper)
        if finger != self._finger:
            self._gripper.publish(self._messages.JointSingleCommand(name="gripper", cmd=2.0 * finger))
            self._finger = finger


def _interbotix_messages() -> ModuleType:
    try:
        return importlib.import_module("interbotix_xs_msgs.msg")
    except ModuleNotFoundError as error:
        raise DependencyError(
            "backend 'interbotix' needs the messages of the Interbotix driver. Install the apt package "
            "ros-$ROS_DISTRO-interbotix-xs-msgs, or build interbotix_ros_core in your workspace; or choose "
            "backend jtc or forward."
        ) from error
