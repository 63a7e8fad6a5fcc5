"""What the simulated robot obeys: the topics of the real arm's controllers and drivers."""

import importlib.util
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMessage
from trajectory_msgs.msg import JointTrajectoryPoint

from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.errors import ActionError
from dvla_ros.nodes.backends.gripper_goals import installed_action_types
from dvla_ros.nodes.backends.gripper_trajectory import FINGER
from dvla_ros.nodes.conversions import seconds
from dvla_ros.nodes.sim_gripper_action import SimGripperAction
from dvla_ros.simulation.trajectory import JointTrajectory, TrajectoryExecutor

if TYPE_CHECKING:
    from interbotix_xs_msgs.msg import JointGroupCommand, JointSingleCommand

FORWARD_ORDER = (*ARM_JOINTS, FINGER)
QUEUE_DEPTH = 10


class SimCommands:
    """Subscribes every command topic of the robot; the newest command to a joint wins, whoever sent it.

    What needs messages that are not installed is left out: the Interbotix driver's topics, the gripper's action.
    Callbacks run in the executor's thread, `targets` in the physics thread.

    Args:
        node: The node that subscribes.
        robot_name: Namespace of the robot's topics.
        arm: float64 `[6]` rad and
        finger: metres, held until the first command.
    """

    def __init__(self, node: Node, robot_name: str, arm: np.ndarray, finger: float) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._arm = TrajectoryExecutor(ARM_JOINTS, arm)
        self._finger = TrajectoryExecutor((FINGER,), np.array([finger]))
        self._deaf_until = 0.0
        self._subscribe(robot_name)
        self._gripper_action: SimGripperAction | None = None
        for action_type in installed_action_types()[:1]:
            self._gripper_action = SimGripperAction(node, robot_name, self._on_gripper_goal, action_type)

    def targets(self, now: float) -> tuple[np.ndarray, float]:
        """Joint targets at a time in seconds: float64 `[6]` rad and the finger in m."""
        with self._lock:
            return self._arm.sample(now), float(self._finger.sample(now)[0])

    def restart(self, arm: np.ndarray, finger: float, deaf_until: float) -> None:
        """Drop all commands, hold a new position and ignore commands up to a time in seconds.

        Commands on their way at a reset belong to the pose before it and would drag the arm back there.
        """
        with self._lock:
            self._arm.hold(arm)
            self._finger.hold(np.array([finger]))
            self._deaf_until = deaf_until
        if self._gripper_action is not None:
            self._gripper_action.drop()

    def _subscribe(self, robot: str) -> None:
        subscribe = self._node.create_subscription
        subscribe(
            JointTrajectoryMessage,
            f"/{robot}/arm_controller/joint_trajectory",
            self._on_trajectory("_arm"),
            QUEUE_DEPTH,
        )
        subscribe(
            JointTrajectoryMessage,
            f"/{robot}/gripper_controller/joint_trajectory",
            self._on_trajectory("_finger"),
            QUEUE_DEPTH,
        )
        subscribe(Float64MultiArray, f"/{robot}/forward_position_controller/commands", self._on_forward, QUEUE_DEPTH)
        if importlib.util.find_spec("interbotix_xs_msgs") is not None:
            self._subscribe_interbotix(robot)

    def _subscribe_interbotix(self, robot: str) -> None:
        from interbotix_xs_msgs.msg import JointGroupCommand, JointSingleCommand

        subscribe = self._node.create_subscription
        subscribe(JointGroupCommand, f"/{robot}/commands/joint_group", self._on_group, QUEUE_DEPTH)
        subscribe(JointSingleCommand, f"/{robot}/commands/joint_single", self._on_single, QUEUE_DEPTH)

    def _on_trajectory(self, executor: str) -> Callable[[JointTrajectoryMessage], None]:
        def receive(message: JointTrajectoryMessage) -> None:
            self._apply(lambda now: getattr(self, executor).accept(trajectory_from_message(message), now))

        return receive

    def _on_forward(self, message: Float64MultiArray) -> None:
        def hold(now: float) -> None:
            order = ARM_JOINTS if len(message.data) == len(ARM_JOINTS) else FORWARD_ORDER
            values = _finite(message.data, order, "forward_position_controller/commands")
            self._arm.hold(values[:6])
            if order is FORWARD_ORDER:
                self._finger.hold(values[6:])

        self._apply(hold)

    def _on_group(self, message: "JointGroupCommand") -> None:
        def hold(now: float) -> None:
            if message.name != "arm":
                raise ActionError(f"commands/joint_group names group '{message.name}'; this robot has 'arm'.")
            self._arm.hold(_finite(message.cmd, ARM_JOINTS, "commands/joint_group"))

        self._apply(hold)

    def _on_single(self, message: "JointSingleCommand") -> None:
        def hold(now: float) -> None:
            if message.name != "gripper":
                raise ActionError(f"commands/joint_single names joint '{message.name}'; only 'gripper' is supported.")
            # The driver's linear_position mode takes the distance between the fingers.
            self._finger.hold(0.5 * _finite([message.cmd], (FINGER,), "commands/joint_single"))

        self._apply(hold)

    def _on_gripper_goal(self, finger: float) -> None:
        self._apply(lambda now: self._finger.hold(np.array([finger])))

    def _apply(self, command: Callable[[float], None]) -> None:
        now = self._node.get_clock().now().nanoseconds * 1e-9
        with self._lock:
            if now < self._deaf_until:
                return
            try:
                command(now)
            except ActionError as error:
                self._node.get_logger().error(f"Command rejected: {error}")


def trajectory_from_message(message: JointTrajectoryMessage) -> JointTrajectory:
    """The trajectory of a message; derivatives that no point gives are None.

    Raises:
        ActionError: A point has another number of positions, velocities or accelerations than there are joints.
    """
    return JointTrajectory(
        names=tuple(message.joint_names),
        start=seconds(message.header.stamp),
        times=np.array([seconds(point.time_from_start) for point in message.points]),
        positions=_column(message.points, "positions", len(message.joint_names)),
        velocities=_optional(message.points, "velocities", len(message.joint_names)),
        accelerations=_optional(message.points, "accelerations", len(message.joint_names)),
    )


def _optional(points: list[JointTrajectoryPoint], field: str, width: int) -> np.ndarray | None:
    return _column(points, field, width) if any(len(getattr(point, field)) for point in points) else None


def _column(points: list[JointTrajectoryPoint], field: str, width: int) -> np.ndarray:
    rows = [list(getattr(point, field)) for point in points]
    if any(len(row) != width for row in rows):
        raise ActionError(
            f"A joint trajectory of {width} joints has {[len(row) for row in rows]} {field} in its points."
        )
    return np.array(rows, dtype=float).reshape(len(rows), width)


def _finite(values: "list[float]", names: tuple[str, ...], topic: str) -> np.ndarray:
    array = np.array(values, dtype=float)
    if array.shape != (len(names),) or not np.isfinite(array).all():
        raise ActionError(f"{topic} needs {len(names)} finite numbers ({', '.join(names)}), got {array.tolist()}.")
    return array
