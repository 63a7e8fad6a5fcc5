"""Files of a checkpoint folder that may come from anybody: nothing outside the folder is opened in its name."""

import json
import re
from pathlib import Path
from typing import Any

from dvla_ros.errors import CheckpointError

JSON_LIMIT = 100_000_000  # bytes; an index of 100 000 tensors has about 10 million
_CACHED_REPOSITORY = re.compile(r"(models|datasets|spaces)--.+")
_SHARED_BLOB = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}")


def file_in(folder: Path, name: str) -> Path:
    """The file `name` of a checkpoint folder, links followed.

    A link may lead to a place in the folder. In a Hugging Face cache, `<repository>/snapshots/<revision>`, it may lead
    into `<repository>/blobs`, or on from there into the `blobs` that all repositories of the cache share.

    Raises:
        CheckpointError: The name has a path in it, or the file is missing, not a regular file, or a link leads out.
    """
    check_file_name(folder, name)
    try:
        target = (folder / name).resolve(strict=True)
        home = folder.resolve(strict=True)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder} has no file {name}, or its link leads nowhere; copy the complete folder."
        ) from error
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a name that no file can have
        raise CheckpointError(f"{folder}: the file {name!r} cannot be found: {error}.") from error
    if not target.is_file():
        raise CheckpointError(f"{folder / name} is not a regular file; put the checkpoint's own file there.")
    if not (target.is_relative_to(home) or _is_blob(target, home)):
        raise CheckpointError(
            f"{folder / name} is a link out of the checkpoint folder, to {target}; copy the file into the folder "
            "if it belongs to the checkpoint."
        )
    return target


def check_file_name(folder: Path, name: str) -> None:
    """Refuse a name that could lead out of the folder.

    Raises:
        CheckpointError: It has a path in it.
    """
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        raise CheckpointError(
            f"{folder} names the file {name!r}; only files in the folder itself are read. Do not trust this checkpoint."
        )


def _is_blob(target: Path, home: Path) -> bool:
    for place in (home, *home.parents):
        if place.parent.name == "snapshots":
            repository = place.parent.parent
            return target.is_relative_to(repository / "blobs") or (
                bool(_CACHED_REPOSITORY.fullmatch(repository.name)) and _is_shared_blob(target, repository.parent)
            )
    return False


def _is_shared_blob(target: Path, cache: Path) -> bool:
    blobs = cache / "blobs"
    return target.is_relative_to(blobs) and bool(_SHARED_BLOB.fullmatch(target.relative_to(blobs).as_posix()))


def json_in(folder: Path, name: str) -> dict[str, Any]:
    """The JSON object in the file `name` of a checkpoint folder.

    Raises:
        CheckpointError: As for `file_in`, or the file is too long or holds no JSON object.
    """
    path = file_in(folder, name)
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise CheckpointError(f"{path} is longer than {JSON_LIMIT} bytes; this is not the file it is named after.")
        return json_object(path.read_bytes(), str(path))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error


def json_object(data: bytes, where: str) -> dict[str, Any]:
    """A JSON object whose keys are all different, at every depth.

    Raises:
        CheckpointError: `data` is something else.
    """
    try:
        values = json.loads(data.decode("utf-8"), object_pairs_hook=_different_keys)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{where} is not valid JSON: {error}. Copy the file again.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{where} must hold a JSON object, got {type(values).__name__}.")
    return values


def _different_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} occurs twice")
    return values
