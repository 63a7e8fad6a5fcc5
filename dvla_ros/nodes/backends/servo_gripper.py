"""The gripper beside an arm that Servo moves: Servo's group has no fingers."""

from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.widowx import finger_from_gripper
from dvla_ros.nodes.conversions import to_duration

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
        self._period = to_duration(period_s)
        self._finger, self._time = float("nan"), float("-inf")

    def send(self, gripper: float, now: float) -> None:
        """Send an opening, 0 closed .. 1 open, at `now` seconds."""
        finger = finger_from_gripper(gripper)
        if finger == self._finger and 0.0 <= now - self._time < REFRESH_S:
            return
        point = JointTrajectoryPoint(positions=[finger], time_from_start=self._period)
        self._publisher.publish(JointTrajectory(joint_names=["left_finger"], points=[point]))
        self._finger, self._time = finger, now
