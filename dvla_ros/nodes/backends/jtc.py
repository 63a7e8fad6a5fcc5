"""Streams to ros2_control's joint_trajectory_controller, one point for each tick."""

from array import array

from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.execution import Command
from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.backends.gripper_trajectory import GripperTrajectory
from dvla_ros.nodes.conversions import to_duration


class JtcBackend(CommandBackend):
    """Sends each command as a trajectory of one point that is due one control period later.

    A single point carries positions only: the controller would refuse a last point that still moves. It goes there in
    a straight line from the point before, so set `interpolate_from_desired_state: true` in the controller (otherwise
    every message starts from the measured joints, which lag behind): config/jtc_streaming.yaml.

    Args:
        node: Owner of the publishers.
        robot_name: Namespace of the controllers.
        control_hz: Commands per second.
        with_gripper: Send the gripper, too.
    """

    def __init__(self, node: Node, robot_name: str, control_hz: float, with_gripper: bool = True) -> None:
        topic = f"/{robot_name}/arm_controller/joint_trajectory"
        self._publisher = node.create_publisher(JointTrajectory, topic, 10)
        self._point = JointTrajectoryPoint(time_from_start=to_duration(1.0 / control_hz))
        self._message = JointTrajectory(joint_names=list(ARM_JOINTS), points=[self._point])
        self._gripper = GripperTrajectory(node, robot_name, 1.0 / control_hz) if with_gripper else None
        self.topics = (topic, self._gripper.topic) if self._gripper else (topic,)

    def send(self, command: Command, now: float) -> None:
        """Send the arm's joints, and the finger when it changed."""
        self._point.positions = array("d", command.arm.tobytes())
        self._publisher.publish(self._message)
        if self._gripper is not None:
            self._gripper.send(command.gripper, now)
