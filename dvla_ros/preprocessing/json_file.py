"""JSON files of a published checkpoint, read with errors that say which file is wrong and what it should be."""

from pathlib import Path
from typing import Any

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.checkpoint_folder import json_in


def read_json(folder: Path, name: str, fix: str) -> dict[str, Any]:
    """The object in `folder/name`.

    Args:
        folder: The checkpoint directory.
        name: File name in it.
        fix: What to do where the file is missing, one sentence.

    Raises:
        CheckpointError: The file is missing, leads out of the folder or is no JSON object.
    """
    if not (folder / name).is_file():
        raise CheckpointError(f"There is no {name} in {folder}. {fix}")
    return json_in(folder, name)


def read_optional_json(folder: Path, name: str) -> dict[str, Any]:
    """Like `read_json`, and an empty object where the file is missing."""
    return read_json(folder, name, "") if (folder / name).is_file() else {}
