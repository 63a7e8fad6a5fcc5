"""MoveIt Servo, told where the end effector shall be."""

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from dvla_ros.control.execution import Command
from dvla_ros.control.kinematics import forward
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.backends.gripper_trajectory import GripperTrajectory
from dvla_ros.nodes.backends.servo_link import SERVO, ServoLink
from dvla_ros.nodes.conversions import to_time
from dvla_ros.nodes.poses import pose_message

POSE = 2


class ServoPoseBackend(CommandBackend):
    """Sends the pose that the commanded joints give the end effector (`PoseStamped`, frame `<robot>/base_link`).

    The tip of Servo's group must be `<robot>/ee_gripper_link`, as in Interbotix' MoveIt configuration. Servo solves the
    inverse kinematics again: where two joint positions reach a pose, it stays near the joints it is at. In each of its
    cycles it goes to the newest pose as fast as its `scale` allows and waits there, so let it run at `control_hz`.

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

    def __init__(
        self, node: Node, robot_name: str, control_hz: float, with_gripper: bool = True, servo: str = SERVO
    ) -> None:
        self._link = ServoLink(node, servo, POSE, control_hz)
        self._gripper = GripperTrajectory(node, robot_name, 1.0 / control_hz) if with_gripper else None
        self._publisher = node.create_publisher(PoseStamped, self._link.input_topic, 10)
        self._message = PoseStamped()
        self._message.header.frame_id = f"{robot_name}/base_link"
        self.topics = (*self._link.topics, *([self._gripper.topic] if self._gripper else []))

    def send(self, command: Command, now: float) -> None:
        """Send the pose; nothing before Servo has been switched to poses."""
        if not self._link.switched:
            return
        self._message.header.stamp = to_time(now)
        self._message.pose = pose_message(forward(command.arm))
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
