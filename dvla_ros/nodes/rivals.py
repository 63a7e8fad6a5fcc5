"""Makes sure that nobody else commands the arm."""

import time
from collections.abc import Collection, Sequence

from rclpy.node import Node

from dvla_ros.errors import ConfigurationError

_LOOK_EVERY_S = 0.05


def publisher_names(node: Node, topic: str) -> list[str]:
    """Fully qualified names of the nodes that publish on a topic, one entry per publisher."""
    infos = node.get_publishers_info_by_topic(topic)
    return [f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos]


def rival_publishers(node: Node, topics: Sequence[str], friends: Collection[str] = ()) -> tuple[str, ...]:
    """Names `node on topic` of other publishers on topics to which `node` has exactly one publisher each.

    Args:
        node: The node that commands.
        topics: Its command topics.
        friends: Fully qualified names of nodes that may publish there, too: a deadman that only ever stops the arm.
    """
    own = node.get_fully_qualified_name()
    rivals = []
    for topic in topics:
        names = publisher_names(node, topic)
        if own in names:
            names.remove(own)
        rivals += [f"{name} on {topic}" for name in names if name not in friends]
    return tuple(rivals)


def refuse_rivals(node: Node, topics: Sequence[str], patience_s: float, friends: Collection[str] = ()) -> None:
    """Look for other publishers for `patience_s` seconds, the time that discovery takes.

    Raises:
        ConfigurationError: Another node publishes on one of the topics.
    """
    deadline = time.monotonic() + patience_s
    while topics:
        rivals = rival_publishers(node, topics, friends)
        if rivals:
            raise ConfigurationError(
                f"The arm is already commanded by {', '.join(rivals)}. Stop that node (a crashed one disappears after "
                "about 20 s), or run with dry_run:=true."
            )
        if time.monotonic() >= deadline:
            return
        time.sleep(_LOOK_EVERY_S)
