"""How figures came about: versions, machine, command line, and the recordings they are of."""

import shlex
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

import dvla_ros
from dvla_ros.provenance import git_revision, machine_line


def run_metadata(words: tuple[str, ...], parameters: Mapping[str, object]) -> dict[str, object]:
    """Facts about this run.

    Args:
        words: Of the command line.
        parameters: What was asked for, defaults included.
    """
    import torch

    return {
        "command": shlex.join(["dvla", *words]),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "version": dvla_ros.__version__,
        "git": git_revision(),
        "machine": machine_line(),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "parameters": {name: _plain(value) for name, value in parameters.items()},
    }


def bytes_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def message_counts(bag: Path) -> dict[str, int]:
    """Messages by topic, as the bag's `metadata.yaml` counts them; empty where there is none to read."""
    try:
        facts: Any = yaml.safe_load((bag / "metadata.yaml").read_text(encoding="utf-8"))
        topics = facts["rosbag2_bagfile_information"]["topics_with_message_count"]
        return {str(topic["topic_metadata"]["name"]): int(topic["message_count"]) for topic in topics}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return {}


def _plain(value: object) -> object:
    """The same as JSON has it."""
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
