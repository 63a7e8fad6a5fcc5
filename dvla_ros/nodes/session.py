"""The simulated robot with its nodes in a ROS domain of their own, and a node of this process beside them."""

import hashlib
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rclpy.node import Node

from dvla_ros.errors import CheckpointError
from dvla_ros.nodes.background_nodes import BackgroundNodes
from dvla_ros.nodes.bringup import process_commands
from dvla_ros.nodes.isolation import isolate
from dvla_ros.nodes.launch_arguments import EXPERT, resolve_arguments
from dvla_ros.nodes.node_table import LaunchPlan, widowx_plan
from dvla_ros.nodes.spinning_node import SpinningNode

_WEIGHTS = "*.safetensors"


@dataclass(frozen=True)
class Session:
    """What runs: a node whose callbacks run in a thread, the processes, and the robot's namespace and cameras."""

    node: Node
    nodes: BackgroundNodes
    robot_name: str
    cameras: tuple[str, ...]


@contextmanager
def simulated_robot(name: str, given: Mapping[str, str], logs: Path) -> Iterator[Session]:
    """Start what `dvla bringup widowx use_sim:=true` starts; stopped when the context is left, by SIGTERM as well.

    Args:
        name: Name of the node of this process.
        given: Launch arguments, see `launch_arguments.WIDOWX_ARGUMENTS`.
        logs: Folder for what the nodes print.

    Raises:
        ConfigurationError: An argument is wrong.
        NodeError: A node did not stop cleanly.
    """
    values = resolve_arguments({"use_sim": "true", **given})
    with running_nodes(name, widowx_plan(values), logs) as (nodes, node):
        cameras = tuple(camera.strip() for camera in values["cameras"].split(","))
        yield Session(node, nodes, values["robot_name"], cameras)


@contextmanager
def running_nodes(name: str, plan: LaunchPlan, logs: Path) -> Iterator[tuple[BackgroundNodes, Node]]:
    """The processes of a plan in a ROS domain of their own, and a node of this process beside them.

    They are stopped when the context is left, by SIGTERM as well. The arguments are those of `simulated_robot`, but
    for the plan.

    Raises:
        CheckpointError: There is no checkpoint.
        NodeError: A node did not stop cleanly.
    """
    if _checkpoint_of(plan) != EXPERT:
        require_weights(plan)
    isolate()
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        with BackgroundNodes(process_commands(plan), logs) as nodes, SpinningNode(name) as node:
            yield nodes, node
    finally:
        signal.signal(signal.SIGTERM, before)


def require_weights(plan: LaunchPlan) -> list[Path]:
    """The files with the weights of the plan's policy.

    Raises:
        CheckpointError: There are none.
    """
    checkpoint = _checkpoint_of(plan)
    weights = sorted(Path(checkpoint).expanduser().glob(_WEIGHTS))
    if not weights:
        raise CheckpointError(f"There is no checkpoint in {checkpoint}: {_WEIGHTS} is missing. Name another folder.")
    return weights


def _checkpoint_of(plan: LaunchPlan) -> str:
    return next(str(entry.parameters["checkpoint"]) for entry in plan.nodes if entry.name == "policy_node")


def weights_digest(given: Mapping[str, str]) -> str:
    """Sixteen hexadecimal digits that tell the weights that launch arguments choose from any others."""
    plan = widowx_plan(resolve_arguments(given))
    digest = hashlib.sha256()
    for path in require_weights(plan):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
