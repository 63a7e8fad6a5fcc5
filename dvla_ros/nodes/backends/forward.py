"""Streams to ros2_control's forward_command_controller or JointGroupPositionController."""

from array import array

from rclpy.node import Node
from std_msgs.msg import Float64MultiArray

from dvla_ros.control.execution import Command
from dvla_ros.control.widowx import finger_from_gripper
from dvla_ros.nodes.backends.base import CommandBackend


class ForwardBackend(CommandBackend):
    """Sends six arm joints (rad) and `left_finger` (m) in one array; the controller neither interpolates nor checks.

    Args:
        node: Owner of the publisher.
        robot_name: Namespace of the controller.
        with_gripper: Send the finger as the seventh number.
    """

    def __init__(self, node: Node, robot_name: str, with_gripper: bool = True) -> None:
        self.topics = (f"/{robot_name}/forward_position_controller/commands",)
        self._publisher = node.create_publisher(Float64MultiArray, self.topics[0], 10)
        self._message = Float64MultiArray()
        self._with_gripper = with_gripper

    def send(self, command: Command, now: float) -> None:
        """Send all positions."""
        values = array("d", command.arm.tobytes())
        if self._with_gripper:
            values.append(finger_from_gripper(command.gripper))
        self._message.data = values
        self._publisher.publish(self._message)
