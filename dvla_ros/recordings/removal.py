"""Takes a bag away to make room for its successor, and nothing that is no bag."""

import shutil
from pathlib import Path

from dvla_ros.errors import RecordingError

_ENDINGS = (".mcap", ".db3", ".db3-journal", ".db3-shm", ".db3-wal", ".zstd")
_METADATA = ("metadata.yaml", "metadata.yaml.tmp")


def remove_bag(folder: Path) -> None:
    """Delete the folder of a bag, if there is one.

    Raises:
        RecordingError: The folder holds something that no bag has; nothing is deleted.
    """
    if not folder.exists():
        return
    foreign = [path.name for path in folder.iterdir() if not _of_bag(path)] if folder.is_dir() else [folder.name]
    if foreign:
        raise RecordingError(f"{folder} is to be replaced by a new recording, but is no bag: {foreign[0]} is in it.")
    shutil.rmtree(folder)


def _of_bag(path: Path) -> bool:
    return path.is_file() and (path.name in _METADATA or path.name.endswith(_ENDINGS))
