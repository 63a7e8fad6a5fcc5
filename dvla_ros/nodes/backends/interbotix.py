"""Streams to the Interbotix X-series driver (`xs_sdk`), which writes to the servos whatever arrives."""

import importlib
from types import ModuleType

from rclpy.node import Node

from dvla_ros.control.execution import Command
from dvla_ros.control.widowx import finger_from_gripper
from dvla_ros.errors import DependencyError
from dvla_ros.nodes.backends.base import CommandBackend

ARM, GRIPPER = "arm", "gripper"
"""The driver's names of the group of six joints and of the gripper's motor."""

REFRESH_S = 0.2
"""The gripper gets a command when it changes, and at least this often: the driver may have been restarted."""


class InterbotixBackend(CommandBackend):
    """Sends the group `arm` in rad and the joint `gripper` as the distance between the fingers in metres.

    The driver's default operating modes do not fit: each command would take 2 s, and the gripper would take the
    distance for a motor current. config/modes_policy.yaml has those that do, `interbotix_modes` sets them.

    Args:
        node: Owner of the publishers.
        robot_name: Namespace of the driver.
        with_gripper: Send the gripper, too.

    Raises:
        DependencyError: interbotix_xs_msgs is not installed.
    """

    def __init__(self, node: Node, robot_name: str, with_gripper: bool = True) -> None:
        messages = interbotix_messages("msg")
        arm, gripper = f"/{robot_name}/commands/joint_group", f"/{robot_name}/commands/joint_single"
        self.topics = (arm, gripper) if with_gripper else (arm,)
        self._arm = node.create_publisher(messages.JointGroupCommand, arm, 10)
        self._arm_message = messages.JointGroupCommand(name=ARM)
        self._gripper = node.create_publisher(messages.JointSingleCommand, gripper, 10) if with_gripper else None
        self._gripper_message = messages.JointSingleCommand(name=GRIPPER)
        self._finger, self._finger_time = float("nan"), float("-inf")

    def send(self, command: Command, now: float) -> None:
        """Send the arm's joints, and the gripper when it changed."""
        self._arm_message.cmd = command.arm.tolist()
        self._arm.publish(self._arm_message)
        finger = finger_from_gripper(command.gripper)
        if self._gripper is None or (finger == self._finger and 0.0 <= now - self._finger_time < REFRESH_S):
            return
        self._gripper_message.cmd = 2.0 * finger
        self._gripper.publish(self._gripper_message)
        self._finger, self._finger_time = finger, now


def interbotix_messages(kind: str) -> ModuleType:
    """The driver's messages (`msg`) or services (`srv`).

    Raises:
        DependencyError: interbotix_xs_msgs is not installed.
    """
    try:
        return importlib.import_module(f"interbotix_xs_msgs.{kind}")
    except ModuleNotFoundError as error:
        raise DependencyError(
            "backend 'interbotix' needs the messages of the Interbotix driver. Install the apt package "
            "ros-$ROS_DISTRO-interbotix-xs-msgs, or build interbotix_ros_core in your workspace; or choose "
            "backend jtc or forward."
        ) from error
