"""Streams to ros2_control's joint_trajectory_controller."""

from collections.abc import Sequence

from rclpy.node import Node
from rclpy.publisher import Publisher
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.controller import Command
from dvla_ros.control.widowx import ARM_JOINTS, finger_from_gripper
from dvla_ros.nodes.conversions import to_duration

GRIPPER_REFRESH_S = 0.2
"""The gripper's controller gets a command when it changes, and at least this often."""


class JointTrajectoryBackend:
    """Sends each command as a trajectory of one point that is due one control period later.

    A single point carries positions only: the controller would refuse a last point that still moves. It goes there in
    a straight line from the point before, so set `interpolate_from_desired_state: true` in the controller (otherwise
    every message starts from the measured joints, which lag behind).
    """

    def __init__(self, node: Node, robot_name: str, control_hz: float) -> None:
        self.topics: tuple[str, ...] = (
            f"/{robot_name}/arm_controller/joint_trajectory",
            f"/{robot_name}/gripper_controller/joint_trajectory",
        )
        self._arm, self._gripper = (node.create_publisher(JointTrajectory, topic, 10) for topic in self.topics)
        self._period = 1.0 / control_hz
        self._finger = float("nan")
        self._finger_time = float("-inf")

    def send(self, command: Command, now: float) -> None:
        """Send the arm's joints, and the finger when it changed."""
        _publish(self._arm, ARM_JOINTS, command.arm.tolist(), self._period)
        finger = finger_from_gripper(command.gripper)
        if finger != self._finger or now - self._finger_time >= GRIPPER_REFRESH_S:
            _publish(self._gripper, ("left_finger",), [finger], self._period)
            self._finger, self._finger_time = finger, now


def _publish(publisher: Publisher, names: Sequence[str], positions: list[float], period: float) -> None:
    point = JointTrajectoryPoint(positions=positions, time_from_start=to_duration(period))
    publisher.publish(JointTrajectory(joint_names=list(names), points=[point]))
