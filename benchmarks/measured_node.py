"""The real chunker node in a process of its own, measured for a while: by itself, and by who receives its commands."""

import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from stand_in_robot import PRIORITY, ROBOT, StandInRobot, inherited_priority

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.background_nodes import BackgroundNodes
from dvla_ros.nodes.spinning_node import SpinningNode

START_S = 180.0
"""Imports take long where every processor is busy."""
_OWN_FIGURES = {
    "rate_hz": "rate_hz",
    "p50_period_error_ms": "p50_period_error_ms",
    "p99_period_error_ms": "p99_period_error_ms",
    "worst_period_error_ms": "worst_period_error_ms",
    "overruns": "overruns",
    "skipped": "skipped_slots",
    "priority_granted": "realtime_priority",
    "memory_locked": "memory_locked",
    "chunks_accepted": "chunks_accepted",
}
"""Our words and those of the node's diagnostics."""


def measure_node(
    rate_hz: float, seconds: float, seed: int, logs: Path, parameters: Mapping[str, str]
) -> dict[str, float | None]:
    """Start the node beside a stand-in robot, let it command, stop it.

    Its own figures are those since it was activated; commands are counted from the moment when they arrive regularly.

    Args:
        rate_hz: Commands per second.
        seconds: How long to measure.
        seed: Of the chunks.
        logs: Folder for what the node prints.
        parameters: Further ones of the node.

    Returns:
        Figures by name; None for those that the node does not tell.

    Raises:
        ConfigurationError: It sends no command within three minutes.
        NodeError: It ended.
    """
    settings = {"robot_name": ROBOT, "control_hz": f"{rate_hz:.1f}", "dry_run": "false", "backend": "forward"}
    words = [word for name, value in (settings | dict(parameters)).items() for word in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", "dvla_ros.nodes.chunker_node", "--ros-args", *words]
    name = f"chunker_node_{rate_hz:g}_hz" + "".join(f"_{key}_{value}" for key, value in parameters.items())
    with ExitStack() as stack:
        with inherited_priority(PRIORITY):
            node = stack.enter_context(SpinningNode("control_loop"))
        robot = StandInRobot(node, seed)
        stack.enter_context(robot.running())
        nodes = stack.enter_context(BackgroundNodes({name: command}, logs))
        wait_for_commands(robot, nodes)
        begun, stolen = len(robot.commands), stolen_s()
        time.sleep(seconds)
        nodes.check()
        commands, stolen = robot.commands.figures(rate_hz, begun), stolen_s() - stolen
    own = {ours: robot.numbers.get(theirs) for ours, theirs in _OWN_FIGURES.items()}
    return {**own, **asdict(commands), "stolen_ms": 1e3 * stolen}


def wait_for_commands(robot: StandInRobot, nodes: BackgroundNodes) -> None:
    """Return once the node commands and reports.

    Raises:
        ConfigurationError: It does not within three minutes.
        NodeError: It ended.
    """
    deadline = time.monotonic() + START_S
    while not (len(robot.commands) and robot.numbers):
        nodes.check()
        if time.monotonic() > deadline:
            raise ConfigurationError(f"chunker_node sent no command within {START_S:.0f} s.")
        time.sleep(0.1)


def stolen_s() -> float:
    """Seconds, summed over the processors, in which a virtual machine's host ran something else (proc(5), `steal`)."""
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[8]) / os.sysconf("SC_CLK_TCK")
