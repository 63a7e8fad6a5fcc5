"""Where the end effector is commanded, for people and tools that look on."""

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from dvla_ros.control.kinematics import forward
from dvla_ros.nodes.conversions import to_time
from dvla_ros.nodes.poses import pose_message

RATE_HZ = 10.0


class EndEffectorTarget:
    """Publishes `~/ee_target` about ten times a second.

    Args:
        node: Owner of the publisher.
        robot_name: Prefix of the frame.
        control_hz: How often `show` is called per second.
    """

    def __init__(self, node: Node, robot_name: str, control_hz: float) -> None:
        self._publisher = node.create_publisher(PoseStamped, "~/ee_target", 1)
        self._frame = f"{robot_name}/base_link"
        self._every, self._calls = max(1, round(control_hz / RATE_HZ)), 0

    def show(self, joints: np.ndarray, now: float) -> None:
        """The arm is commanded to `joints` `[6]` rad at `now` seconds."""
        self._calls += 1
        if self._calls % self._every:
            return
        message = PoseStamped(pose=pose_message(forward(joints)))
        message.header.stamp, message.header.frame_id = to_time(now), self._frame
        self._publisher.publish(message)
