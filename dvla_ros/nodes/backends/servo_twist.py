"""MoveIt Servo, told how fast the end effector shall move."""

import numpy as np
from geometry_msgs.msg import TwistStamped, Vector3
from rclpy.node import Node

from dvla_ros.control.execution import Command
from dvla_ros.control.kinematics import forward
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.backends.gripper_trajectory import GripperTrajectory
from dvla_ros.nodes.backends.servo_link import SERVO, ServoLink
from dvla_ros.nodes.backends.servo_tracking import CommandHistory, correction, is_recent, pose_difference
from dvla_ros.nodes.conversions import to_time

TWIST = 1

LINEAR_CORRECTION = 0.05
ANGULAR_CORRECTION = 0.3
"""Most that the arm is driven beyond the commanded velocity to take an error back, in m/s and rad/s."""


class ServoTwistBackend(CommandBackend):
    """Sends the velocity of the end effector (`TwistStamped`, m/s and rad/s along the axes of `<robot>/base_link`).

    The velocity is that of the commanded pose, plus a small term that takes back what the measured pose is away from
    the one commanded a lag ago: velocities alone would let every error of Servo and its controllers add up. Without a
    recent measurement, and while Servo halts, there is no such term. Servo's `command_in_type` must be `speed_units`
    and `apply_twist_commands_about_ee_frame` true; the tip of its group must be `<robot>/ee_gripper_link`.

    Args:
        node: Owner of publishers, subscription and client.
        robot_name: Namespace of the robot's topics and prefix of its links.
        control_hz: Commands per second, 50 or more.
        with_gripper: Send the gripper to its own controller, too; Servo's group has no fingers.
        servo: Fully qualified name of the Servo node.

    Raises:
        ConfigurationError: The rate is too low.
        DependencyError: moveit_msgs is not installed.
    """

    wants_measured = True

    def __init__(
        self, node: Node, robot_name: str, control_hz: float, with_gripper: bool = True, servo: str = SERVO
    ) -> None:
        self._link = ServoLink(node, servo, TWIST, control_hz)
        self._gripper = GripperTrajectory(node, robot_name, 1.0 / control_hz) if with_gripper else None
        self._publisher = node.create_publisher(TwistStamped, self._link.input_topic, 10)
        self._period = 1.0 / control_hz
        self._history = CommandHistory()
        self._measured, self._measured_time = np.zeros(6), float("-inf")
        self._message = TwistStamped()
        self._message.header.frame_id = f"{robot_name}/base_link"
        self.topics = (*self._link.topics, *([self._gripper.topic] if self._gripper else []))

    def measured(self, joints: np.ndarray, now: float) -> None:
        """Note where the arm is, `[6]` in rad, at the time `now` in seconds; to be called before `send`."""
        self._measured, self._measured_time = joints, now

    def send(self, command: Command, now: float) -> None:
        """Send the velocity; nothing before Servo has been switched to twists."""
        self._history.add(command.arm, now)
        if not self._link.switched:
            return
        vx, vy, vz, wx, wy, wz = self._twist(command, now).tolist()
        self._message.header.stamp = to_time(now)
        self._message.twist.linear = Vector3(x=vx, y=vy, z=vz)
        self._message.twist.angular = Vector3(x=wx, y=wy, z=wz)
        self._publisher.publish(self._message)
        if self._gripper is not None:
            self._gripper.send(command.gripper, now)

    def problem(self) -> str:
        """Why Servo does not do what it is asked for; empty while it does."""
        return self._link.problem()

    def numbers(self) -> dict[str, float]:
        """What Servo says of itself, for diagnostics."""
        return self._link.numbers()

    def rehearse(self) -> None:
        """Send without Servo: its commands arrive nowhere."""
        self._link.rehearse()

    def close(self) -> None:
        """Stop watching Servo; it halts when no command comes."""
        self._link.close()

    def _twist(self, command: Command, now: float) -> np.ndarray:
        """`[6]` m/s and rad/s: where the commanded velocity leads in one period, and the correction."""
        ahead = forward(command.arm + self._period * command.arm_velocity)
        twist = pose_difference(forward(command.arm), ahead) / self._period
        if is_recent(self._measured_time, now) and not self._link.problem():
            error = pose_difference(forward(self._measured), forward(self._history.due))
            twist[:3] += correction(error[:3], LINEAR_CORRECTION)
            twist[3:] += correction(error[3:], ANGULAR_CORRECTION)
        return twist
