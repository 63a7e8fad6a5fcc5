"""The gripper's own controller beside the arm's: trajectories of one point."""

from array import array

from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.widowx import finger_from_gripper
from dvla_ros.nodes.conversions import to_duration

FINGER = "left_finger"

REFRESH_S = 0.2
"""The controller gets a command when it changes, and at least this often."""


class GripperTrajectory:
    """Sends `left_finger` to ros2_control's joint_trajectory_controller of the gripper.

    Args:
        node: Owner of the publisher.
        robot_name: Namespace of the controller.
        period_s: Seconds in which a command is to be reached.
    """

    def __init__(self, node: Node, robot_name: str, period_s: float) -> None:
        self.topic = f"/{robot_name}/gripper_controller/joint_trajectory"
        self._publisher = node.create_publisher(JointTrajectory, self.topic, 10)
        self._point = JointTrajectoryPoint(time_from_start=to_duration(period_s))
        self._message = JointTrajectory(joint_names=[FINGER], points=[self._point])
        self._finger, self._time = float("nan"), float("-inf")

    def send(self, gripper: float, now: float) -> None:
        """Send an opening, 0 closed .. 1 open, at `now` seconds."""
        finger = finger_from_gripper(gripper)
        if finger == self._finger and 0.0 <= now - self._time < REFRESH_S:
            return
        self._point.positions = array("d", (finger,))
        self._publisher.publish(self._message)
        self._finger, self._time = finger, now
