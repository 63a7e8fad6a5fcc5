"""The arguments of `bag_eval.launch.py`, and the command that they become.

Imports no ROS and no package that only the nodes need: launch files read it.
"""

import shutil
import sys
from collections.abc import Mapping

from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.launch_arguments import Argument

BAG_EVAL_ARGUMENTS = (
    Argument("bag", "", "folder of the recording, or several separated by commas"),
    Argument("checkpoint", "", "checkpoint folders, separated by commas; empty: the one that drove"),
    Argument("system", "", "shipped policies to evaluate, too, separated by commas"),
    Argument("decoding", "", "decoders, separated by semicolons, each as name=value,name=value"),
    Argument("deployment", "", "YAML file: how a published checkpoint is used"),
    Argument("cache", "", "what a denoising step keeps: exact, prefix, dllm …; empty: as the deployment says"),
    Argument("instruction", "", "what the robot was asked to do, where the recording does not say it"),
    Argument("robot_name", "wx250s", "namespace of the robot's topics"),
    Argument("device", "cpu", "where the policy runs: cpu, cuda, cuda:1 …"),
    Argument("out", "evaluation", "folder for the report"),
    Argument("real_time", "false", "also play the recording in real time to the nodes", ("true", "false")),
)
"""Those of `dvla evaluate` that are changed most; an empty one is left to the command."""

_SEPARATORS = {"checkpoint": ",", "system": ",", "decoding": ";"}


def evaluate_command(values: Mapping[str, str]) -> list[str]:
    """The command line of `dvla evaluate` for resolved launch arguments.

    Raises:
        ConfigurationError: No bag is named.
    """
    bags = _split(values["bag"], ",")
    if not bags:
        raise ConfigurationError("bag is empty; name the folder of a recording: bag:=recordings/…")
    words = [*_program(), "evaluate", *bags]
    for name, value in values.items():
        if name in ("bag", "real_time") or not value:
            continue
        words += [f"--{name.replace('_', '-')}", *_split(value, _SEPARATORS.get(name, ""))]
    return [*words, "--real-time"] if values["real_time"] == "true" else words


def _split(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()] if separator else [text]


def _program() -> list[str]:
    """`dvla`: of the sourced workspace, which knows the Python that has what it needs; else this Python."""
    installed = shutil.which("dvla")
    return [sys.executable, "-m", "dvla_ros.cli"] if installed is None else [installed]
