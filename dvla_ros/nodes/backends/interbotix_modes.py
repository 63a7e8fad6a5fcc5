"""Operating modes of the Interbotix driver: what its motors make of a command."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import rclpy
import yaml
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from dvla_ros.errors import ConfigurationError, NodeError
from dvla_ros.nodes.backends.interbotix import interbotix_messages

MODES_FILE = "config/modes_policy.yaml"

MODES = ("position", "ext_position", "velocity", "current", "current_based_position", "pwm", "linear_position")
PROFILES = ("time", "velocity")

_KINDS = {"groups": "group", "singles": "single"}
_KEYS = ("operating_mode", "profile_type", "profile_velocity", "profile_acceleration", "torque_enable")


@dataclass(frozen=True)
class OperatingMode:
    """One request of `interbotix_xs_msgs/srv/OperatingModes`.

    Attributes:
        kind: `group` or `single`.
        name: Of the group or joint.
        mode: One of `MODES`.
        profile_type: One of `PROFILES`: what the next two numbers mean.
        profile_velocity: Duration of a motion in ms (`time`) or a register (`velocity`); 0: no profile.
        profile_acceleration: The same for the time it speeds up in.

    Raises:
        ConfigurationError: A word is unknown, or a number is out of the motors' range.
    """

    kind: str
    name: str
    mode: str = "position"
    profile_type: str = "velocity"
    profile_velocity: int = 0
    profile_acceleration: int = 0

    def __post_init__(self) -> None:
        for word, choices in (("kind", _KINDS.values()), ("mode", MODES), ("profile_type", PROFILES)):
            if getattr(self, word) not in choices:
                raise ConfigurationError(
                    f"{word} of '{self.name}' must be one of {', '.join(choices)}, got '{getattr(self, word)}'."
                )
        for number in ("profile_velocity", "profile_acceleration"):
            if not (isinstance(getattr(self, number), int) and 0 <= getattr(self, number) <= 32767):
                raise ConfigurationError(f"{number} of '{self.name}' must be 0 .. 32767, got {getattr(self, number)}.")
        if self.profile_type == "time" and 2 * self.profile_acceleration > self.profile_velocity:
            raise ConfigurationError(
                f"profile_acceleration of '{self.name}' must not exceed half of profile_velocity "
                f"({self.profile_velocity} ms), got {self.profile_acceleration} ms."
            )


def load_operating_modes(path: Path) -> tuple[OperatingMode, ...]:
    """Modes from a file in the format of the driver's own `mode_configs`.

    Raises:
        ConfigurationError: The file is not in that format.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, Mapping) or set(content) - {"port", *_KINDS}:
        raise ConfigurationError(f"{path} must have the keys groups and singles only.")
    return tuple(
        _mode(kind, str(name), entry)
        for section, kind in _KINDS.items()
        for name, entry in (content.get(section) or {}).items()
    )


def fitted(mode: OperatingMode, control_hz: float) -> OperatingMode:
    """The mode with its time profile fitted to a rate of commands.

    A motion lasts 1.25 periods and speeds up in 0.5, as the controllers of the Bridge data did: the next command
    arrives before the motors come to rest.
    """
    if mode.profile_type != "time" or mode.profile_velocity == 0:
        return mode
    duration_ms = max(2, round(1250.0 / control_hz))
    return replace(
        mode, profile_velocity=duration_ms, profile_acceleration=min(round(500.0 / control_hz), duration_ms // 2)
    )


def set_operating_modes(
    context: Context, robot_name: str, modes: Sequence[OperatingMode], timeout_s: float = 5.0
) -> None:
    """Set the modes and make sure that the driver has them. Blocks; spins a node of its own.

    The motors are without torque for a moment: an arm that is not at rest low down will sag.

    Args:
        context: Where ROS was initialised.
        robot_name: Namespace of the driver.
        modes: What to set.
        timeout_s: For all of them together.

    Raises:
        DependencyError: interbotix_xs_msgs is not installed.
        NodeError: The driver is not there, does not answer, or has other modes afterwards.
    """
    services = interbotix_messages("srv")
    node = rclpy.create_node("operating_modes", context=context, use_global_arguments=False)
    try:
        caller = _Caller(node, time.monotonic() + timeout_s)
        for mode in modes:
            caller.call(services.OperatingModes, f"/{robot_name}/set_operating_modes", _request(services, mode))
            question = services.RobotInfo.Request(cmd_type=mode.kind, name=mode.name)
            _check(mode, caller.call(services.RobotInfo, f"/{robot_name}/get_robot_info", question))
    finally:
        node.destroy_node()


class _Caller:
    """Calls services and waits for the answers until a deadline."""

    def __init__(self, node: Node, deadline: float) -> None:
        self._node, self._deadline = node, deadline
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client = self._node.create_client(kind, name)
        if not client.wait_for_service(self._left()):
            raise NodeError(f"There is no service {name}. Start the Interbotix driver (xs_sdk) of this robot first.")
        future = client.call_async(request)
        self._executor.spin_until_future_complete(future, self._left())
        if not future.done():
            raise NodeError(f"The Interbotix driver does not answer {name}. Is it busy, or has it crashed?")
        return future.result()

    def _left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())


def _mode(kind: str, name: str, entry: object) -> OperatingMode:
    if not isinstance(entry, Mapping) or set(entry) - set(_KEYS):
        raise ConfigurationError(f"The operating mode of '{name}' may have {', '.join(_KEYS)} only, got {entry}.")
    values = {"mode" if key == "operating_mode" else key: value for key, value in entry.items()}
    if values.pop("torque_enable", True) is not True:
        raise ConfigurationError(f"torque_enable of '{name}' must be true: an arm without torque follows nothing.")
    return OperatingMode(kind, name, **values)


def _request(services: Any, mode: OperatingMode) -> Any:
    return services.OperatingModes.Request(
        cmd_type=mode.kind,
        name=mode.name,
        mode=mode.mode,
        profile_type=mode.profile_type,
        profile_velocity=mode.profile_velocity,
        profile_acceleration=mode.profile_acceleration,
    )


def _check(mode: OperatingMode, info: Any) -> None:
    """The answer to `set_operating_modes` is empty; what the driver says of itself is not."""
    if (info.mode, info.profile_type) != (mode.mode, mode.profile_type):
        raise NodeError(
            f"The Interbotix driver has '{mode.name}' in mode '{info.mode}' with profile '{info.profile_type}' after "
            f"it was asked for '{mode.mode}' with '{mode.profile_type}'. Does its motor configuration name "
            f"{mode.kind} '{mode.name}'?"
        )
