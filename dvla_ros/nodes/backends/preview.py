"""Shows what would be commanded, and moves nothing."""

from array import array

from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.execution import Command
from dvla_ros.control.widowx import ARM_JOINTS, finger_from_gripper
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.conversions import to_time


class CommandPreview:
    """Publishes each command on `~/command_preview`."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(JointTrajectory, "~/command_preview", 10)
        self._point = JointTrajectoryPoint()
        self._message = JointTrajectory(joint_names=[*ARM_JOINTS, "left_finger"], points=[self._point])

    def send(self, command: Command, now: float) -> None:
        """Publish arm joints (rad) and `left_finger` (m) with their velocities and the present time."""
        self._message.header.stamp = to_time(now)
        self._point.positions = array("d", [*command.arm.tolist(), finger_from_gripper(command.gripper)])
        self._point.velocities = array("d", [*command.arm_velocity.tolist(), 0.0])
        self._publisher.publish(self._message)


class NoBackend(CommandBackend):
    """Sends nothing at all."""
