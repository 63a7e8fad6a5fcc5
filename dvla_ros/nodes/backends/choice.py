"""Chooses a backend by name."""

from collections.abc import Callable, Mapping

from rclpy.node import Node

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.backends.forward import ForwardBackend
from dvla_ros.nodes.backends.interbotix import InterbotixBackend
from dvla_ros.nodes.backends.joint_trajectory import JointTrajectoryBackend
from dvla_ros.nodes.backends.preview import NoBackend, PreviewBackend

_MAKERS: Mapping[str, Callable[[Node, str, float], CommandBackend]] = {
    "jtc": JointTrajectoryBackend,
    "forward": lambda node, robot, rate: ForwardBackend(node, robot),
    "interbotix": lambda node, robot, rate: InterbotixBackend(node, robot),
    "none": lambda node, robot, rate: NoBackend(),
}


def check_backend(name: str) -> None:
    """Raises ConfigurationError when there is no backend of this name."""
    if name not in _MAKERS:
        raise ConfigurationError(f"backend must be one of {', '.join(_MAKERS)}, got '{name}'.")


def make_backend(name: str, node: Node, robot_name: str, control_hz: float, dry_run: bool) -> CommandBackend:
    """The backend `name`; in a dry run the preview instead.

    Raises:
        ConfigurationError: There is no such backend.
        DependencyError: The backend needs messages that are not installed.
    """
    check_backend(name)
    return PreviewBackend(node) if dry_run else _MAKERS[name](node, robot_name, control_hz)
