"""The simulated gripper behind an action server, as ros2_control's gripper controllers offer it."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.action import ActionServer, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState

from dvla_ros.nodes.backends.gripper_goals import ACTION_TYPES, action_name, gripper_action
from dvla_ros.nodes.backends.gripper_trajectory import FINGER

MONITOR_HZ = 20.0
"""`action_monitor_rate` of the controllers."""

TOLERANCE_M = 0.002
"""`goal_tolerance`; the controllers' default of 0.01 m is half the stroke of this gripper."""

STALL_VELOCITY, STALL_S = 0.001, 0.5
"""`stall_velocity_threshold` in m/s and `stall_timeout`: a finger that does not move any more has grasped something."""


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
        self._target = self._position = float("nan")
        self._last_movement = time.monotonic()
        self._server = ActionServer(
            node,
            self._type,
            action_name(robot_name),
            execute_callback=self._never_called,
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
        )
        self._joints = node.create_subscription(JointState, f"/{robot_name}/joint_states", self._on_joints, 10)
        self._timer = node.create_timer(1.0 / MONITOR_HZ, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def drop(self) -> None:
        """Forget the goal; its finger belongs to a scene that is over."""
        self._goal = None

    def _on_goal(self, goal: Any) -> GoalResponse:
        positions = _positions(goal)
        return GoalResponse.ACCEPT if len(positions) == 1 and np.isfinite(positions).all() else GoalResponse.REJECT

    def _on_accepted(self, handle: ServerGoalHandle) -> None:
        superseded, self._goal = self._goal, handle
        if superseded is not None:
            self._finish(superseded, ServerGoalHandle.abort, reached_goal=False, stalled=False)
        self._target = float(_positions(handle.request)[0])
        self._last_movement = time.monotonic()
        self._move(self._target)

    def _on_joints(self, message: JointState) -> None:
        index = list(message.name).index(FINGER)
        self._position = message.position[index]
        if abs(message.velocity[index]) > STALL_VELOCITY:
            self._last_movement = time.monotonic()

    def _watch(self) -> None:
        """Look at the goal as often as the controllers do."""
        goal = self._goal
        if goal is None:
            return
        if abs(self._position - self._target) < TOLERANCE_M:
            self._goal = None
            self._finish(goal, ServerGoalHandle.succeed, reached_goal=True, stalled=False)
        elif time.monotonic() - self._last_movement > STALL_S:
            self._goal = None
            self._finish(goal, ServerGoalHandle.abort, reached_goal=False, stalled=True)

    def _finish(self, handle: ServerGoalHandle, how: Callable[[ServerGoalHandle], None], **result: bool) -> None:
        """End a goal: rclpy wants that done from an execution, which here takes no time."""

        def execution(executed: ServerGoalHandle) -> Any:
            how(executed)
            return self._type.Result(**result)

        handle.execute(execution)

    @staticmethod
    def _never_called(handle: ServerGoalHandle) -> None:
        raise AssertionError("goals are executed by _finish only")


def _positions(goal: Any) -> list[float]:
    position = goal.command.position
    return [position] if isinstance(position, float) else list(position)
