"""Asks MoveIt whether the arm would touch anything on its way, before any of a chunk is sent."""

import importlib
import math
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future

from dvla_ros.control.preview import JointPreview
from dvla_ros.control.verdict import ACCEPTED, Verdict, rejected
from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.errors import ConfigurationError, DependencyError

SERVICE = "/check_state_validity"
"""Where move_group offers it."""

GROUP = "interbotix_arm"
"""The arm in Interbotix' MoveIt configuration; what hangs on it, such as the fingers, is checked with it."""

TIMEOUT_S = 0.5
"""A chunk that waits longer has its first rows behind it."""

MAX_STATES = 64
"""Enough for 3.2 rad of the joint that moves most."""

SPACING = 0.05
"""Greatest step of any joint in radians between two states that are checked: 3 cm at the WidowX' full reach."""

IN_FLIGHT = 5
"""Requests on their way at once. A service keeps ten; those of a path given up must not push out those of the next."""

_WAKE_S = 0.1
_NAMED_CONTACTS = 3


class PlanningSceneGate:
    """Checks the path of a chunk against MoveIt's planning scene, through `moveit_msgs/srv/GetStateValidity`.

    Only a path that is known to be free passes: no service, no answer in time, or a path too long to be checked are
    reasons to reject the chunk. The service is asked from a node and a thread of their own, so that `check_path` may
    wait in a thread that itself runs callbacks.

    Args:
        node: Gives the context, the namespace and the first part of the own node's name.
        service: Fully qualified name of the service.
        group: Planning group of the arm.
        timeout_s: Seconds in which all answers must have come.
        max_states: Most states that one path may need.

    Raises:
        ConfigurationError: The time or the number is not positive.
        DependencyError: moveit_msgs is not installed.
    """

    def __init__(
        self,
        node: Node,
        service: str = SERVICE,
        group: str = GROUP,
        timeout_s: float = TIMEOUT_S,
        max_states: int = MAX_STATES,
    ) -> None:
        _require_positive(timeout_s=timeout_s, max_states=max_states)
        self._messages, self._service = _moveit_messages("srv"), service
        self._robot_state = _moveit_messages("msg").RobotState
        self._group, self._timeout, self._max_states = group, timeout_s, max_states
        # Without the process' arguments: `__node:=NAME` of a launch file would give both nodes the same name.
        self._node = Node(
            f"{node.get_name()}_planning_scene",
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._client = self._node.create_client(self._messages.GetStateValidity, service)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="planning_scene", daemon=True)
        self._thread.start()

    def check_path(self, preview: JointPreview) -> Verdict:
        """Whether the whole path may be executed; waits for the answers, at most `timeout_s`.

        Args:
            preview: Where the joints are planned to be, from the take-over on; without any place nothing moves.

        Returns:
            Accepted, or rejected as `collision`, `validity_timeout`, `validity_unavailable` or `validity_too_long`.
        """
        if len(preview.positions) == 0:
            return ACCEPTED
        states = states_along(preview.positions, SPACING)
        if len(states) > self._max_states:
            return rejected(
                "validity_too_long",
                f"The path needs {len(states)} states {SPACING:g} rad apart to be checked, allowed are "
                f"{self._max_states}.",
            )
        if not self._client.service_is_ready():
            return rejected("validity_unavailable", f"No service {self._service}. Is move_group running?")
        inquiry = _Inquiry(states)
        self._executor.create_task(self._ask, inquiry)
        inquiry.decided.wait(self._timeout)
        self._executor.create_task(self._forget, inquiry)
        return self._verdict(inquiry)

    def close(self) -> None:
        """End the thread and the node."""
        self._closing.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()

    def _spin(self) -> None:
        while not self._closing.is_set() and self._node.context.ok():
            self._executor.spin_once(timeout_sec=_WAKE_S)

    def _ask(self, inquiry: "_Inquiry") -> None:
        """Ask about the next states, as many as may be on their way."""
        while len(inquiry.unanswered) < IN_FLIGHT and (index := inquiry.next_index()) is not None:
            # A difference to the scene's state: fingers stay where they are, what the gripper holds stays attached.
            state = self._robot_state(is_diff=True)
            state.joint_state.name, state.joint_state.position = list(ARM_JOINTS), inquiry.states[index].tolist()
            request = self._messages.GetStateValidity.Request(robot_state=state, group_name=self._group)
            future = self._client.call_async(request)
            inquiry.unanswered[future] = index
            future.add_done_callback(lambda done: self._take_answer(inquiry, done))

    def _take_answer(self, inquiry: "_Inquiry", future: Future) -> None:
        inquiry.take(future)
        self._ask(inquiry)

    def _forget(self, inquiry: "_Inquiry") -> None:
        """Nobody waits for the rest."""
        inquiry.give_up()
        for future in list(inquiry.unanswered):
            self._client.remove_pending_request(future)

    def _verdict(self, inquiry: "_Inquiry") -> Verdict:
        total = len(inquiry.states)
        if inquiry.invalid is not None:
            index, contacts = inquiry.invalid
            return rejected("collision", f"State {index + 1} of {total} on the path: {_contacts(contacts)}.")
        if not inquiry.decided.is_set():
            late = f"{total - inquiry.valid} of {total} answers of {self._service} had not come"
            return rejected("validity_timeout", f"{late} after {self._timeout:g} s.")
        return ACCEPTED


class _Inquiry:
    """What is asked about one path; belongs to the gate's thread, except `decided`, for which another waits.

    Args:
        states: `[m, 6]` joints in radians.

    Attributes:
        valid: How many states are known to be valid.
        invalid: Index and contacts of a state that is not; None while there is none.
        decided: All are valid, or one is not.
        unanswered: Requests on their way, with the index of the state.
    """

    def __init__(self, states: np.ndarray) -> None:
        self.states, self._asked = states, 0
        self.valid = 0
        self.invalid: tuple[int, Sequence[Any]] | None = None
        self.decided = threading.Event()
        self.unanswered: dict[Future, int] = {}

    def next_index(self) -> int | None:
        """Index of the next state to ask about; None when there is none."""
        if self.decided.is_set() or self._asked == len(self.states):
            return None
        self._asked += 1
        return self._asked - 1

    def give_up(self) -> None:
        """Ask no more."""
        self._asked = len(self.states)

    def take(self, future: Future) -> None:
        """An answer came."""
        index, response = self.unanswered.pop(future), future.result()
        if response.valid:
            self.valid += 1
        elif self.invalid is None:
            self.invalid = (index, response.contacts)
        if self.invalid is not None or self.valid == len(self.states):
            self.decided.set()


def states_along(positions: np.ndarray, spacing: float) -> np.ndarray:
    """States on a path, close enough that nothing slips through between them.

    Args:
        positions: `[n, 6]` joints in radians, n > 0; straight in joint space between two rows.
        spacing: Greatest step of any joint between two states, in radians.

    Returns:
        float64 `[m, 6]`, m > 0: the first and the last row, and what lies between them at equal steps.
    """
    steps = np.abs(np.diff(positions, axis=0)).max(axis=1, initial=0.0)
    travelled = np.concatenate([[0.0], np.cumsum(steps)])
    marks = np.linspace(0.0, travelled[-1], math.ceil(travelled[-1] / spacing) + 1)
    return np.stack([np.interp(marks, travelled, column) for column in positions.T], axis=1)


def _contacts(contacts: Sequence[Any]) -> str:
    pairs = dict.fromkeys(f"{contact.contact_body_1} touches {contact.contact_body_2}" for contact in contacts)
    if not pairs:
        return "MoveIt calls it invalid and names no contact"
    more = len(pairs) - _NAMED_CONTACTS
    return ", ".join([*list(pairs)[:_NAMED_CONTACTS], *([f"{more} more"] if more > 0 else [])])


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ConfigurationError(f"{name} of the planning-scene gate must be positive, got {value}.")


def _moveit_messages(kind: str) -> ModuleType:
    try:
        return importlib.import_module(f"moveit_msgs.{kind}")
    except ModuleNotFoundError as error:
        raise DependencyError(
            "planning_scene needs moveit_msgs/srv/GetStateValidity. Install the apt packages "
            "ros-$ROS_DISTRO-moveit-msgs and ros-$ROS_DISTRO-moveit-ros-move-group, or set planning_scene:=false."
        ) from error
