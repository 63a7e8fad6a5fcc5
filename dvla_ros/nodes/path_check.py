"""What looks at the path of a chunk before any of it moves: MoveIt's planning scene, or nothing."""

from typing import TYPE_CHECKING, Protocol

from rclpy.node import Node

from dvla_ros.control.verdict import ACCEPTED, Verdict
from dvla_ros.nodes.chunker_parameters import ChunkerParameters

if TYPE_CHECKING:
    from dvla_ros.control.controller import JointPreview


class PathCheck(Protocol):
    """Accepts or rejects the path of a chunk; asked from the thread that decides on chunks."""

    def check_path(self, preview: "JointPreview") -> Verdict:
        """Whether the path may be executed."""
        ...

    def close(self) -> None:
        """End what it started."""
        ...


class NoPathCheck:
    """Accepts every path: the safety gate has looked at it already."""

    def check_path(self, preview: "JointPreview") -> Verdict:
        """Accepted."""
        return ACCEPTED

    def close(self) -> None:
        """There is nothing to end."""


def make_path_check(node: Node, parameters: ChunkerParameters) -> PathCheck:
    """What the parameters ask for.

    Raises:
        DependencyError: The planning scene is asked for, and MoveIt's messages are not installed.
    """
    if not parameters.planning_scene:
        return NoPathCheck()
    from dvla_ros.nodes.planning_scene import PlanningSceneGate

    return PlanningSceneGate(node, timeout_s=parameters.planning_scene_timeout_s)
