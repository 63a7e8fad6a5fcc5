"""Shows what would be commanded, and moves nothing."""

from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.controller import Command
from dvla_ros.control.widowx import ARM_JOINTS, finger_from_gripper
from dvla_ros.nodes.conversions import to_time


class PreviewBackend:
    """Publishes each command on `~/command_preview` and nowhere else."""

    topics: tuple[str, ...] = ()

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(JointTrajectory, "~/command_preview", 10)

    def send(self, command: Command, now: float) -> None:
        """Publish arm joints (rad) and `left_finger` (m) with their velocities and the present time."""
        message = JointTrajectory(joint_names=[*ARM_JOINTS, "left_finger"])
        message.header.stamp = to_time(now)
        message.points = [
            JointTrajectoryPoint(
                positions=[*command.arm.tolist(), finger_from_gripper(command.gripper)],
                velocities=[*command.arm_velocity.tolist(), 0.0],
            )
        ]
        self._publisher.publish(message)


class NoBackend:
    """Sends nothing at all."""

    topics: tuple[str, ...] = ()

    def send(self, command: Command, now: float) -> None:
        """Forget the command."""
