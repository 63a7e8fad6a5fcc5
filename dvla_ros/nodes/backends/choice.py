"""Chooses a backend by name."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.backends.forward import ForwardBackend
from dvla_ros.nodes.backends.gripper_action import GripperAction, ShadowGripperAction
from dvla_ros.nodes.backends.gripper_goals import ACTION_TYPES
from dvla_ros.nodes.backends.interbotix import InterbotixBackend
from dvla_ros.nodes.backends.joint_trajectory import JointTrajectoryBackend
from dvla_ros.nodes.backends.jtc import JtcBackend
from dvla_ros.nodes.backends.preview import NoBackend
from dvla_ros.nodes.backends.shadow import ShadowBackend
from dvla_ros.nodes.backends.with_gripper_action import WithGripperAction

GRIPPERS = ("backend", "gripper_action")
"""Where the gripper's commands go: with the arm's, or to an action server."""

Maker = Callable[[Any, str, float, bool], CommandBackend]
"""From node, robot's name, commands per second, and whether the backend shall send the gripper, too."""


def _later(module: str, name: str) -> Maker:
    """A maker that imports its backend when it is asked for."""

    def make(node: Any, robot: str, rate: float, with_gripper: bool) -> CommandBackend:
        backend = getattr(importlib.import_module(f"dvla_ros.nodes.backends.{module}"), name)
        made: CommandBackend = backend(node, robot, rate, with_gripper)
        return made

    return make


_MAKERS: Mapping[str, Maker] = {
    "interbotix": lambda node, robot, rate, with_gripper: InterbotixBackend(node, robot, with_gripper),
    "jtc": JtcBackend,
    "joint_trajectory": JointTrajectoryBackend,
    "forward": lambda node, robot, rate, with_gripper: ForwardBackend(node, robot, with_gripper),
    "servo_pose": _later("servo_pose", "ServoPoseBackend"),
    "servo_twist": _later("servo_twist", "ServoTwistBackend"),
    "servo_joint": _later("servo_joint", "ServoJointBackend"),
    "none": lambda node, robot, rate, with_gripper: NoBackend(),
}

BACKENDS = tuple(_MAKERS)


def check_backend(name: str) -> None:
    """Raises ConfigurationError when there is no backend of this name."""
    _check("backend", name, BACKENDS)


def make_backend(
    name: str,
    node: Node,
    robot_name: str,
    control_hz: float,
    dry_run: bool,
    gripper: str = GRIPPERS[0],
    gripper_action_type: str = ACTION_TYPES[0],
) -> CommandBackend:
    """The backend `name`; in a dry run one that sends the same messages to shadow topics.

    Args:
        name: One of `BACKENDS`.
        node: Owner of publishers, clients and timers.
        robot_name: Namespace of the robot's topics.
        control_hz: Commands per second.
        dry_run: Send nothing that could move the arm.
        gripper: One of `GRIPPERS`.
        gripper_action_type: Of the gripper's action, one of `ACTION_TYPES`.

    Raises:
        ConfigurationError: There is no such backend, gripper or action type.
        DependencyError: The backend needs messages that are not installed.
    """
    check_backend(name)
    _check("gripper", gripper, GRIPPERS)
    to_action = gripper == "gripper_action" and name != "none"
    action = ShadowGripperAction if dry_run else GripperAction

    def make(owner: Any) -> CommandBackend:
        arm = _MAKERS[name](owner, robot_name, control_hz, not to_action)
        return WithGripperAction(arm, action(owner, robot_name, gripper_action_type)) if to_action else arm

    return ShadowBackend(node, make) if dry_run else make(node)


def _check(what: str, word: str, choices: tuple[str, ...]) -> None:
    if word not in choices:
        raise ConfigurationError(f"{what} must be one of {', '.join(choices)}, got '{word}'.")
