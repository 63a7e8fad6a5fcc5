"""Streams to ros2_control's forward_command_controller or JointGroupPositionController."""

from rclpy.node import Node
from std_msgs.msg import Float64MultiArray

from dvla_ros.control.controller import Command
from dvla_ros.control.widowx import finger_from_gripper


class ForwardBackend:
    """Sends six arm joints (rad) and `left_finger` (m) in one array; the controller neither interpolates nor checks."""

    def __init__(self, node: Node, robot_name: str) -> None:
        self.topics: tuple[str, ...] = (f"/{robot_name}/forward_position_controller/commands",)
        self._publisher = node.create_publisher(Float64MultiArray, self.topics[0], 10)

    def send(self, command: Command, now: float) -> None:
        """Send all seven positions."""
        self._publisher.publish(Float64MultiArray(data=[*command.arm.tolist(), finger_from_gripper(command.gripper)]))
