"""The link to a MoveIt Servo node: which type of command it takes, and what it says of itself."""

import importlib
import time
from collections import Counter
from enum import IntEnum
from types import ModuleType
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future

from dvla_ros.errors import ConfigurationError, DependencyError

SERVO = "/servo_node"
"""Where Servo's own launch files put it."""

INPUTS = ("delta_joint_cmds", "delta_twist_cmds", "pose_target_cmds")
"""Topics below Servo's name, in the order of the command types: 0 JOINT_JOG, 1 TWIST, 2 POSE."""

LEAST_HZ = 50.0
"""Servo halts when its newest command is 0.1 s old; at this rate four may be lost in a row."""

SILENCE_S = 1.0
"""Servo sends its status in every cycle (0.01 s) unless it is paused, waits for joint states, or has ended."""

HALT_SHOWN_S = 0.5
"""A halt counts so long after it was last reported. Servo judges the newest command only, and a hold looks harmless."""

_WATCH_S = 0.2
_ANSWER_S = 1.0
_STATUS_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


class ServoCode(IntEnum):
    """`code` of `moveit_msgs/msg/ServoStatus`."""

    INVALID = -1
    NO_WARNING = 0
    DECELERATE_FOR_APPROACHING_SINGULARITY = 1
    HALT_FOR_SINGULARITY = 2
    DECELERATE_FOR_LEAVING_SINGULARITY = 3
    DECELERATE_FOR_COLLISION = 4
    HALT_FOR_COLLISION = 5
    JOINT_BOUND = 6


HALTS = frozenset(
    (ServoCode.INVALID, ServoCode.HALT_FOR_SINGULARITY, ServoCode.HALT_FOR_COLLISION, ServoCode.JOINT_BOUND)
)
"""Codes with which Servo does not do what it was asked for."""


class ServoLink:
    """Switches Servo to one type of command, again whenever it was restarted, and watches its status.

    `switched` and `problem` are for the control thread and return at once; everything else happens in the thread that
    spins the node.

    Args:
        node: Owner of the subscription, the client and the timer.
        servo: Fully qualified name of the Servo node.
        command_type: Index into `INPUTS`.
        control_hz: Commands per second.

    Raises:
        ConfigurationError: The rate is too low, or the name is not fully qualified.
        DependencyError: moveit_msgs is not installed, or too old.
    """

    def __init__(self, node: Node, servo: str, command_type: int, control_hz: float) -> None:
        _check(servo, control_hz)
        self._node, self._servo, self._type = node, servo, command_type
        self._switch_request = _messages("srv", "ServoCommandType").ServoCommandType
        self.topics = tuple(f"{servo}/{name}" for name in INPUTS)
        self.switched = False
        self._refusal = ""
        self._asked: tuple[Future, float] | None = None
        self._publishers: set[tuple[int, ...]] = set()
        self._code: ServoCode | None = None
        self._status_time = float("-inf")
        self._halt, self._halt_time = "", float("-inf")
        self._counts: Counter[str] = Counter()
        self._client = node.create_client(self._switch_request, f"{servo}/switch_command_type")
        status = _messages("msg", "ServoStatus").ServoStatus
        self._subscription = node.create_subscription(status, f"{servo}/status", self._on_status, _STATUS_QOS)
        # Not the node's clock: simulated time may stand still.
        self._timer = node.create_timer(_WATCH_S, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def input_topic(self) -> str:
        """Topic of the commands."""
        return self.topics[self._type]

    def problem(self) -> str:
        """Why Servo does not do what it is asked for, as `word: sentence`; empty while it does."""
        now = time.monotonic()
        if now - self._status_time > SILENCE_S:
            return (
                f"servo_silent: no status from {self._servo} for {SILENCE_S:g} s. Is it running, not paused, and does "
                "it get joint states?"
            )
        if not self.switched:
            return f"servo_not_switched: {self._servo} does not take {INPUTS[self._type]} yet{self._refusal}."
        return self._halt if now - self._halt_time < HALT_SHOWN_S else ""

    def numbers(self) -> dict[str, float]:
        """For diagnostics: newest code, age of the status in seconds, how often each status was entered."""
        numbers: dict[str, float] = {
            "servo_status": -2 if self._code is None else int(self._code),
            "servo_status_age_s": min(time.monotonic() - self._status_time, 1e6),
        }
        return numbers | {f"servo_{name}": count for name, count in self._counts.items()}

    def rehearse(self) -> None:
        """From now on commands arrive nowhere: ask Servo for nothing, and let them be sent."""
        self._node.destroy_timer(self._timer)
        self.switched = True

    def close(self) -> None:
        """Stop watching."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_client(self._client)

    def _on_status(self, message: Any) -> None:
        now, code = time.monotonic(), _code(message.code)
        self._status_time = now
        if code in HALTS:
            self._halt = f"servo_halted: {self._servo} says {message.code} {code.name}: {message.message or 'no text'}."
            self._halt_time = now
        if code != self._code:
            self._enter(code, message.message)

    def _enter(self, code: ServoCode, text: str) -> None:
        self._code = code
        if code == ServoCode.NO_WARNING:
            return
        self._counts[code.name.lower()] += 1
        log = self._node.get_logger()
        (log.error if code in HALTS else log.warning)(f"{self._servo}: {int(code)} {code.name}: {text}")

    def _watch(self) -> None:
        """Ask for the command type until Servo has agreed; a Servo that is new or came back has to be asked again."""
        found = {tuple(info.endpoint_gid) for info in self._node.get_publishers_info_by_topic(f"{self._servo}/status")}
        silent = time.monotonic() - self._status_time > SILENCE_S
        if silent or found - self._publishers:
            self.switched = False
        self._publishers |= found
        if not (silent or self.switched or self._waiting()) and self._client.service_is_ready():
            self._ask()

    def _waiting(self) -> bool:
        """Whether an answer is still to be expected."""
        if self._asked is None:
            return False
        future, asked = self._asked
        if time.monotonic() - asked < _ANSWER_S:
            return True
        self._client.remove_pending_request(future)
        self._asked, self._refusal = None, f" (no answer for {_ANSWER_S:g} s)"
        return False

    def _ask(self) -> None:
        future = self._client.call_async(self._switch_request.Request(command_type=self._type))
        self._asked = (future, time.monotonic())
        future.add_done_callback(self._on_answer)

    def _on_answer(self, future: Future) -> None:
        if self._asked is None or self._asked[0] is not future:
            return
        self._asked = None
        self.switched = bool(future.result().success)
        self._refusal = "" if self.switched else " (it refused)"
        self._counts["switches"] += int(self.switched)


def _code(number: int) -> ServoCode:
    """The code of a status; one that is not known counts as INVALID: the arm is held."""
    try:
        return ServoCode(number)
    except ValueError:
        return ServoCode.INVALID


def _check(servo: str, control_hz: float) -> None:
    if not servo.startswith("/") or servo.endswith("/"):
        raise ConfigurationError(f"Servo's name must be fully qualified, like {SERVO}, got '{servo}'.")
    if not control_hz >= LEAST_HZ:
        raise ConfigurationError(
            f"control_hz must be {LEAST_HZ:g} or more for MoveIt Servo, which halts when its newest command is 0.1 s "
            f"old, got {control_hz:g}."
        )


def _messages(kind: str, name: str) -> ModuleType:
    try:
        module = importlib.import_module(f"moveit_msgs.{kind}")
        getattr(module, name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise DependencyError(
            f"Backends servo_* need moveit_msgs/{kind}/{name}. Install the apt packages ros-$ROS_DISTRO-moveit-msgs "
            "and ros-$ROS_DISTRO-moveit-servo of ROS 2 Jazzy or newer, or choose backend jtc or forward."
        ) from error
    return module
