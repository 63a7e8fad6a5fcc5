"""JSON files of a published checkpoint, read with errors that say which file is wrong and what it should be."""

import json
from pathlib import Path
from typing import Any

from dvla_ros.errors import CheckpointError


def read_json(folder: Path, name: str, fix: str) -> dict[str, Any]:
    """The object in `folder/name`.

    Args:
        folder: The checkpoint directory.
        name: File name in it.
        fix: What to do where the file is missing, one sentence.

    Raises:
        CheckpointError: The file is missing or is no JSON object.
    """
    path = folder / name
    if not path.is_file():
        raise CheckpointError(f"There is no {name} in {folder}. {fix}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}. Copy it again from the base model.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} must hold a JSON object, got {type(values).__name__}.")
    return values


def read_optional_json(folder: Path, name: str) -> dict[str, Any]:
    """Like `read_json`, and an empty object where the file is missing."""
    return read_json(folder, name, "") if (folder / name).is_file() else {}
