"""Which files a bag consists of, and how each is opened."""

import shutil
from collections.abc import Callable
from pathlib import Path

import yaml
import zstandard

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.mcap_file import McapFile
from dvla_ros.recordings.mcap_index import MAGIC as MCAP_MAGIC
from dvla_ros.recordings.sqlite_file import SqliteFile
from dvla_ros.recordings.storage import StorageFile, Warn

METADATA = "metadata.yaml"
_SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
_SQLITE_MAGIC = b"SQLite format 3\0"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def storage_paths(bag: Path, warn: Warn) -> list[Path]:
    """The storage files of a bag: a folder, its `metadata.yaml`, or one file alone.

    The files that are there count, also where `metadata.yaml` does not know of them.

    Raises:
        RecordingError: There is none.
    """
    if bag.name == METADATA:
        bag = bag.parent
    if bag.is_file():
        return [bag]
    if not bag.is_dir():
        raise RecordingError(f"{bag} is no bag that can be read: it does not exist. Name the folder of a rosbag2.")
    found = sorted(path for path in bag.iterdir() if path.name.endswith(_SUFFIXES) and path.is_file())
    _compare_with_metadata(bag, {path.name for path in found}, warn)
    if not found:
        raise RecordingError(
            f"{bag} is no bag that can be read: no .mcap or .db3 file is in it. Name the folder of a rosbag2."
        )
    return [path for path in found if not (path.suffix == ".zstd" and path.with_suffix("") in found)]


def open_storage(path: Path, unpacked: Callable[[], Path], warn: Warn) -> StorageFile:
    """Open a storage file, whatever its name says; a compressed one is unpacked into the folder `unpacked()` first.

    Raises:
        RecordingError: It is no storage file, or cannot be read at all.
    """
    try:
        return _open(path, unpacked, warn)
    except (OSError, zstandard.ZstdError) as error:
        raise RecordingError(f"{path.name} cannot be read: {error}.") from None
    except RecordingError as error:
        raise RecordingError(f"{path.name} cannot be read: {error}.") from None


def _open(path: Path, unpacked: Callable[[], Path], warn: Warn) -> StorageFile:
    with path.open("rb") as file:
        magic = file.read(len(_SQLITE_MAGIC))
    if magic.startswith(ZSTD_MAGIC):
        return _open(_unpack(path, unpacked(), warn), unpacked, warn)
    if magic.startswith(MCAP_MAGIC):
        return McapFile(path, warn)
    if magic == _SQLITE_MAGIC:
        return SqliteFile(path, warn)
    raise RecordingError("it is empty" if not magic else "it is neither an mcap nor an sqlite3 file")


def _unpack(path: Path, folder: Path, warn: Warn) -> Path:
    target = folder / path.with_suffix("").name
    with path.open("rb") as source, target.open("wb") as sink:
        try:
            shutil.copyfileobj(zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True), sink)
        except zstandard.ZstdError as error:
            warn(f"{path.name}: it is damaged ({error}); what comes before is kept.")
    return target


def _compare_with_metadata(bag: Path, found: set[str], warn: Warn) -> None:
    metadata = bag / METADATA
    if not metadata.exists():
        warn(f"{METADATA} is missing, the recorder may have been killed; its {len(found)} storage files are read.")
        return
    try:
        listed = yaml.safe_load(metadata.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
        names = {Path(name).name for name in listed["relative_file_paths"]}
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        warn(f"{METADATA} cannot be read; the {len(found)} storage files beside it are.")
        return
    for name in sorted(names - found):
        warn(f"{name} is missing, which {METADATA} names; the other storage files are read.")
