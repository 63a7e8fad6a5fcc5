"""Sends the whole plan ahead to ros2_control's joint_trajectory_controller."""

from array import array
from itertools import pairwise

import numpy as np
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dvla_ros.control.execution import Command
from dvla_ros.control.preview import JointPreview
from dvla_ros.control.widowx import ARM_JOINTS, LOWER, UPPER
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.backends.gripper_trajectory import GripperTrajectory
from dvla_ros.nodes.conversions import to_duration, to_time

MOST_POINTS = 50
"""More points would cost the control thread more than half a millisecond; cubics between 50 of 3 s miss by 0.1° at
most."""

SHORTEST_S = 0.2
"""A trajectory that ends before it arrives is refused, so even an arm that rests gets one of this length."""

BRAKING = 20.0
"""rad/s² with which a plan that goes on beyond the preview ends, unless it is sent again in time."""

_LEAST_SPACING_S = 1e-3
_REST = 1e-6


class JointTrajectoryBackend(CommandBackend):
    """Sends the arm's plan with positions, velocities and a real stamp whenever it changed; it always ends at rest.

    The controller interpolates with cubics between points: commands lost, late or uneven on the way do no harm, and
    when this node ends the arm finishes the plan it has. The gripper gets its command each tick, on its own topic.
    The controller needs `interpolate_from_desired_state: true`: config/jtc_streaming.yaml.

    Args:
        node: Owner of the publishers.
        robot_name: Namespace of the controllers.
        control_hz: Commands per second.
        with_gripper: Send the gripper, too.
    """

    wants_preview = True

    def __init__(self, node: Node, robot_name: str, control_hz: float, with_gripper: bool = True) -> None:
        topic = f"/{robot_name}/arm_controller/joint_trajectory"
        self._publisher = node.create_publisher(JointTrajectory, topic, 10)
        self._points = [JointTrajectoryPoint() for _ in range(MOST_POINTS + 2)]
        self._message = JointTrajectory(joint_names=list(ARM_JOINTS))
        self._gripper = GripperTrajectory(node, robot_name, 1.0 / control_hz) if with_gripper else None
        self.topics = (topic, self._gripper.topic) if self._gripper else (topic,)

    def send(self, command: Command, now: float) -> None:
        """Send the finger when it changed; the arm has its plan."""
        if self._gripper is not None:
            self._gripper.send(command.gripper, now)

    def send_preview(self, preview: JointPreview, now: float) -> None:
        """Send the arm's plan."""
        times, positions, velocities = ending_at_rest(*thinned(preview))
        for point, time, position, velocity in zip(self._points, times, positions, velocities, strict=False):
            point.time_from_start = to_duration(time - times[0])
            point.positions = array("d", position.tobytes())
            point.velocities = array("d", velocity.tobytes())
        self._message.header.stamp = to_time(times[0])
        self._message.points = self._points[: len(times)]
        self._publisher.publish(self._message)


def thinned(preview: JointPreview) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times `[n]`, positions `[n, 6]` and velocities `[n, 6]` at no more than `MOST_POINTS` evenly chosen times."""
    kept = _spaced(preview.times)
    if len(kept) > MOST_POINTS:
        kept = kept[np.linspace(0, len(kept) - 1, MOST_POINTS).round().astype(int)]
    return preview.times[kept], preview.positions[kept], preview.velocities[kept]


def ending_at_rest(
    times: np.ndarray, positions: np.ndarray, velocities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same trajectory, with a last point that rests: the controller refuses others.

    A last point that still moves is followed by the one where constant `BRAKING` of the fastest joint ends, all joints
    in the same time; a cubic from (p, v) to (p + v t / 2, 0) in t has exactly that deceleration.
    """
    last, speed = positions[-1], float(np.abs(velocities[-1]).max())
    rest_time = times[0] + SHORTEST_S
    if speed > _REST:
        duration = max(speed / BRAKING, _LEAST_SPACING_S)
        last = np.clip(last + 0.5 * duration * velocities[-1], LOWER, UPPER)
        times, positions = np.append(times, times[-1] + duration), np.vstack([positions, last])
        velocities = np.vstack([velocities, np.zeros_like(last)])
    else:
        velocities = np.vstack([velocities[:-1], np.zeros_like(last)])
    if times[-1] < rest_time - _LEAST_SPACING_S:
        times, positions = np.append(times, rest_time), np.vstack([positions, last])
        velocities = np.vstack([velocities, np.zeros_like(last)])
    return times, positions, velocities


def _spaced(times: np.ndarray) -> np.ndarray:
    """Indices of times that lie far enough apart to be different in a message; the last one is always among them."""
    if all(later - earlier >= _LEAST_SPACING_S for earlier, later in pairwise(times.tolist())):
        return np.arange(len(times))
    kept = [len(times) - 1]
    for index in range(len(times) - 2, -1, -1):
        if times[kept[-1]] - times[index] >= _LEAST_SPACING_S:
            kept.append(index)
    return np.array(kept[::-1])
