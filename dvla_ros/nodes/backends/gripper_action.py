"""The gripper through an action: goals for ros2_control's gripper controllers."""

import time
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from dvla_ros.control.widowx import finger_from_gripper
from dvla_ros.nodes.backends.gripper_goals import ACTION_TYPES, action_name, goal_maker, gripper_action

THRESHOLD_M = 0.001
"""A goal is sent when the finger shall be so far from where the last goal sent it, or somewhere else for good."""

ANSWER_S = 1.0
"""A goal that is neither accepted nor rejected for so long, and a failed one, are sent again."""

_WATCH_S = 0.05
_SAME_M = 1e-6


class GripperAction:
    """Keeps one goal at the gripper's action server: where the finger shall be now.

    A new goal supersedes the one before it, whose result is of no interest any more. The controllers abort a goal when
    the finger stalls; that is how a grasp ends, and no problem. A goal that is rejected, aborted for another reason or
    not answered is one, until a later goal has come to its end; it is sent again every second.

    `send` and `problem` are for the control thread and return at once; goals are sent in the thread that spins the
    node.

    Args:
        node: Owner of the client and the timer.
        robot_name: Namespace of the controller.
        action_type: One of `ACTION_TYPES`.
        max_effort: For `GripperCommand`, in the controller's unit; 0: its own default.

    Raises:
        ConfigurationError: There is no such action type.
        DependencyError: control_msgs is not installed, or too old.
    """

    def __init__(self, node: Node, robot_name: str, action_type: str = ACTION_TYPES[0], max_effort: float = 0.0):
        self._action = gripper_action(action_type)
        self._goal = goal_maker(action_type, max_effort)
        self.name = action_name(robot_name)
        self._node = node
        self._client = ActionClient(node, self._action, self.name)
        self._wanted: float | None = None
        self._previous: float | None = None
        self._sent: float | None = None
        self._asked: tuple[Future, float] | None = None
        self._result: Any = None
        self._failure, self._failure_time = "", 0.0
        self._absent = f"gripper_unavailable: no action server {self.name} yet. Is the gripper's controller active?"
        # Not the node's clock: simulated time may stand still.
        self._timer = node.create_timer(_WATCH_S, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def send(self, gripper: float) -> None:
        """Note an opening, 0 closed .. 1 open."""
        self._wanted = finger_from_gripper(gripper)

    def problem(self) -> str:
        """Why the gripper does not do what it is asked for, as `word: sentence`; empty while it does."""
        return self._absent or self._failure

    def close(self) -> None:
        """Send no more goals; the gripper stays where the last one sends it. In the thread that spins the node."""
        self._node.destroy_timer(self._timer)
        self._client.destroy()

    def _watch(self) -> None:
        if not self._client.server_is_ready():
            self._absent = f"gripper_unavailable: no action server {self.name}. Is the gripper's controller active?"
            self._sent = self._asked = None
            return
        self._absent = ""
        now = time.monotonic()
        if self._asked is not None and now - self._asked[1] > ANSWER_S:
            self._fail("gripper_silent", f"{self.name} has not answered a goal for {ANSWER_S:g} s")
            self._asked = None
        if self._failure and now - self._failure_time > ANSWER_S:
            self._sent = None
        wanted, before, self._previous = self._wanted, self._previous, self._wanted
        if wanted is not None and self._asked is None and self._is_news(wanted, settled=wanted == before):
            self._ask(wanted, now)

    def _is_news(self, wanted: float, settled: bool) -> bool:
        if self._sent is None:
            return not self._failure or time.monotonic() - self._failure_time > ANSWER_S
        return abs(wanted - self._sent) > (_SAME_M if settled else THRESHOLD_M)

    def _ask(self, finger: float, now: float) -> None:
        self._sent = finger
        future = self._client.send_goal_async(self._goal(finger))
        self._asked = (future, now)
        future.add_done_callback(self._on_answer)

    def _on_answer(self, future: Future) -> None:
        if self._asked is None or self._asked[0] is not future:
            return
        self._asked = None
        handle: Any = future.result()
        if handle.accepted:
            self._result = handle.get_result_async()
            self._result.add_done_callback(self._on_result)
        else:
            self._fail("gripper_rejected", f"{self.name} rejects the goal {self._sent} m")

    def _on_result(self, future: Future) -> None:
        if future is not self._result:  # superseded
            return
        answer: Any = future.result()
        if answer.status == GoalStatus.STATUS_ABORTED and not answer.result.stalled:
            self._fail("gripper_aborted", f"{self.name} aborted the goal {self._sent} m")
        else:
            self._failure = ""

    def _fail(self, word: str, sentence: str) -> None:
        if not self._failure:
            self._node.get_logger().error(sentence)
        self._failure, self._failure_time = f"{word}: {sentence}; it is asked again.", time.monotonic()


class ShadowGripperAction:
    """The dry run of a `GripperAction`: each tick's command as the message that a goal contains, on a topic.

    Args:
        node: Whose publishers lie below `~/shadow`.
        robot_name: Namespace of the controller.
        action_type: One of `ACTION_TYPES`.
        max_effort: As for `GripperAction`.
    """

    def __init__(self, node: Node, robot_name: str, action_type: str = ACTION_TYPES[0], max_effort: float = 0.0):
        self._goal = goal_maker(action_type, max_effort)
        self._publisher = node.create_publisher(type(self._goal(0.0).command), action_name(robot_name), 10)
        self._sent: float | None = None

    def send(self, gripper: float) -> None:
        """Show a goal when the real one would be sent."""
        finger = finger_from_gripper(gripper)
        if self._sent is None or abs(finger - self._sent) > THRESHOLD_M:
            self._publisher.publish(self._goal(finger).command)
            self._sent = finger

    def problem(self) -> str:
        """Nothing can go wrong."""
        return ""

    def close(self) -> None:
        """There is nothing to give back."""
