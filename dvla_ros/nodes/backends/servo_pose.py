"""MoveIt Servo, told where the end effector shall be."""

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from dvla_ros.control.execution import Command
from dvla_ros.control.kinematics import forward
from dvla_ros.nodes.backends.servo_backend import ServoBackend
from dvla_ros.nodes.backends.servo_link import SERVO
from dvla_ros.nodes.poses import pose_message

POSE = 2


class ServoPoseBackend(ServoBackend):
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
        super().__init__(node, robot_name, control_hz, with_gripper, servo, POSE, PoseStamped())

    def _fill(self, command: Command, now: float) -> None:
        self._message.pose = pose_message(forward(command.arm))
