"""The simulated gripper behind an action server, as ros2_control's gripper controllers offer it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.action import ActionServer, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from sensor_msgs.msg import JointState

from dvla_ros.nodes.backends.gripper_goals import ACTION_TYPES, action_name, gripper_action
from dvla_ros.nodes.backends.gripper_trajectory import FINGER
from dvla_ros.nodes.conversions import seconds

TOLERANCE_M = 0.002
"""`goal_tolerance`; the controllers' default of 0.01 m is half the stroke of this gripper."""

STALL_VELOCITY, STALL_S = 0.001, 0.5
"""`stall_velocity_threshold` in m/s and `stall_timeout`: a finger that does not move any more has grasped something."""

_QUEUE = 10
"""Joint states that may wait to be looked at: so many after a goal may be from before it."""


class SimGripperAction:
    """Moves the finger to the newest goal; a goal ends when the finger is there (succeeded) or stalls (aborted).

    Args:
        node: Owner of the server; its joint states tell where the finger is.
        robot_name: Namespace of the controller.
        move: Called with the finger's target in metres.
        action_type: `ParallelGripperCommand` or `GripperCommand` of control_msgs.

    Raises:
        DependencyError: control_msgs is not installed.
    """

    def __init__(
        self, node: Node, robot_name: str, move: Callable[[float], None], action_type: str = ACTION_TYPES[0]
    ) -> None:
        self._type, self._move = gripper_action(action_type), move
        self._goal: ServerGoalHandle | None = None
        self._target = float("nan")
        self._time = self._last_movement = 0.0
        self._since_goal = 0
        self._server = ActionServer(
            node,
            self._type,
            action_name(robot_name),
            execute_callback=self._never_called,
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
        )
        self._joints = node.create_subscription(JointState, f"/{robot_name}/joint_states", self._on_joints, _QUEUE)

    def drop(self) -> None:
        """Forget the goal; its finger belongs to a scene that is over."""
        self._goal = None

    def _on_goal(self, goal: Any) -> GoalResponse:
        positions = _positions(goal)
        return GoalResponse.ACCEPT if len(positions) == 1 and np.isfinite(positions).all() else GoalResponse.REJECT

    def _on_accepted(self, handle: ServerGoalHandle) -> None:
        if self._goal is not None:
            self._end(self._goal, ServerGoalHandle.abort, reached_goal=False, stalled=False)
        self._goal, self._target = handle, float(_positions(handle.request)[0])
        self._since_goal = 0
        self._move(self._target)

    def _on_joints(self, message: JointState) -> None:
        """Look at the goal; the time is that of the simulation, which may lag behind on a busy machine."""
        index, self._time = list(message.name).index(FINGER), seconds(message.header.stamp)
        self._since_goal += 1
        if abs(message.velocity[index]) > STALL_VELOCITY or self._since_goal <= _QUEUE:
            self._last_movement = self._time
        if self._goal is None:
            return
        if abs(message.position[index] - self._target) < TOLERANCE_M:
            self._end(self._goal, ServerGoalHandle.succeed, reached_goal=True, stalled=False)
        elif self._time - self._last_movement > STALL_S:
            self._end(self._goal, ServerGoalHandle.abort, reached_goal=False, stalled=True)

    def _end(self, handle: ServerGoalHandle, how: Callable[[ServerGoalHandle], None], **result: bool) -> None:
        """End a goal: rclpy wants that done from an execution, which here takes no time."""

        def execution(executed: ServerGoalHandle) -> Any:
            how(executed)
            return self._type.Result(**result)

        self._goal = None
        handle.execute(execution)

    @staticmethod
    def _never_called(handle: ServerGoalHandle) -> None:
        raise AssertionError("goals are executed by _end only")


def _positions(goal: Any) -> list[float]:
    position = goal.command.position
    return [position] if isinstance(position, float) else list(position)
