"""The dry run: everything is made as it would be sent, and arrives nowhere."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rclpy.node import Node

from dvla_ros.control.execution import Command
from dvla_ros.control.preview import JointPreview
from dvla_ros.nodes.backends.base import CommandBackend
from dvla_ros.nodes.backends.preview import CommandPreview


def shadow_name(name: str) -> str:
    """Where a topic or service `/robot/name` lies in a dry run: `~/shadow/robot/name`."""
    return f"~/shadow/{name.lstrip('/')}"


class ShadowNode:
    """Stands for a node; what is published, and every service that is called, lies below `~/shadow`.

    Args:
        node: Does everything else: subscriptions, timers, clock, log.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def create_publisher(self, kind: Any, topic: str, qos: Any, **options: Any) -> Any:
        """A publisher below `~/shadow`."""
        return self._node.create_publisher(kind, shadow_name(topic), qos, **options)

    def create_client(self, kind: Any, service: str, **options: Any) -> Any:
        """A client below `~/shadow`, where nobody serves."""
        return self._node.create_client(kind, shadow_name(service), **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)


class ShadowBackend(CommandBackend):
    """Lets a backend send to shadow topics, and publishes `~/command_preview`.

    It has no command topics and no problems: a dry run disturbs nobody who commands the arm, and needs nobody.

    Args:
        node: The real node.
        make: Makes the backend on the node it is given.
    """

    def __init__(self, node: Node, make: Callable[[Any], CommandBackend]) -> None:
        self._preview = CommandPreview(node)
        self._backend = make(ShadowNode(node))
        self._backend.rehearse()
        self.wants_preview = self._backend.wants_preview
        self.wants_measured = self._backend.wants_measured

    def send(self, command: Command, now: float) -> None:
        """Show the command, and send it to the shadow topics."""
        self._preview.send(command, now)
        self._backend.send(command, now)

    def send_preview(self, preview: JointPreview, now: float) -> None:
        """Send the plan to the shadow topics."""
        self._backend.send_preview(preview, now)

    def measured(self, joints: np.ndarray, now: float) -> None:
        """Pass on where the arm is."""
        self._backend.measured(joints, now)

    def numbers(self) -> Mapping[str, float]:
        """What the backend says of itself."""
        return self._backend.numbers()

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()
