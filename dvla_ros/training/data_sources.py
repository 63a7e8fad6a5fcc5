"""What a run may be given as data: training sets as they are; bags and LeRobot sets, converted once and kept.

Reading a bag or a video means decoding every picture in its order, far too slow for rows in random order. So such a
source becomes a training set in a cache folder. Its name there has a digest of the source's files and of how it was
read: where either changes, it is converted again. A conversion is complete or not there: it is made under another name
and renamed at its end, and what a killed one left is removed by the next.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dvla_ros.datasets.conversion import ConversionOptions, convert_source
from dvla_ros.datasets.read_options import ReadOptions
from dvla_ros.datasets.sources import Kind, kind_of, open_source
from dvla_ros.errors import ConfigurationError, RecordingError
from dvla_ros.training.shard import FORMAT, HORIZON

_TOLD = "source.json"
_DIGITS = 16
_REVISION = 1
"""To be raised when conversion makes something else of the same source."""


@dataclass(frozen=True)
class DataSource:
    """One of the things to learn from.

    Attributes:
        path: As it was given.
        kind: What it is.
        folder: The training set to read: itself, or what it was converted to.
        warnings: What conversion left out and why.
    """

    path: Path
    kind: Kind
    folder: Path
    warnings: tuple[str, ...] = ()


def prepared_sources(
    paths: Sequence[Path],
    cache: Path,
    reading: ReadOptions,
    horizon: int = HORIZON,
    report: Callable[[Path, int, int, int], None] = lambda path, episode, episodes, frames: None,
) -> list[DataSource]:
    """Training sets of everything that is to be learned from; converts what has not been converted yet.

    Several processes may call it at once, with the same cache: one converts, the others wait for it.

    Args:
        paths: Training sets, bags or folders of bags, LeRobot v3 data sets.
        cache: Folder for what is converted; is made when needed.
        reading: How bags and LeRobot sets are read; training sets stay as they are.
        horizon: Actions of each frame's label, in what is converted.
        report: Called while converting: the path, the episode that is done, how many there are, frames so far.

    Raises:
        ConfigurationError: A path does not exist.
        RecordingError: A path holds nothing that is known, or it cannot be converted.
    """
    return [_prepared(path, cache, replace(reading, pictures=True), horizon, report) for path in paths]


def _prepared(
    path: Path, cache: Path, reading: ReadOptions, horizon: int, report: Callable[[Path, int, int, int], None]
) -> DataSource:
    kind = _kind(path)
    if kind == "training":
        return DataSource(path, kind, path)
    folder = cache / f"{path.resolve().name}-{source_digest(path, reading, horizon)}"
    if not folder.is_dir():
        with _alone(cache, folder.name):
            if not folder.is_dir():
                _convert(path, folder, reading, horizon, report)
    told = json.loads((folder / _TOLD).read_text())
    return DataSource(path, kind, folder, tuple(told["warnings"]))


def source_digest(path: Path, reading: ReadOptions, horizon: int) -> str:
    """16 hexadecimal digits that change where a file below the path changes its name, size or time, or the reading."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(file, file.stat()) for file in files if file.is_file()]
    names = [(str(file.relative_to(path.parent)), stat.st_size, stat.st_mtime_ns) for file, stat in stats]
    whole = {"files": names, "reading": asdict(reading), "horizon": horizon, "form": [FORMAT, _REVISION]}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _kind(path: Path) -> Kind:
    if not path.exists():
        raise ConfigurationError(
            f"{path} does not exist; make demonstrations with `dvla collect`, or name a bag or a LeRobot data set."
        )
    try:
        return kind_of(path)
    except RecordingError as error:
        raise RecordingError(f"{error} Make demonstrations with `dvla collect`.") from None


def _convert(
    path: Path, folder: Path, reading: ReadOptions, horizon: int, report: Callable[[Path, int, int, int], None]
) -> None:
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    source = open_source([path], reading)
    options = ConversionOptions(
        unfinished, "training", reading.instruction, idle=reading.idle, robot_name=reading.robot_name, horizon=horizon
    )
    try:
        done = convert_source(source, options, lambda episode, frames: report(path, episode, source.episodes, frames))
        told = {
            "path": str(path.resolve()),
            "warnings": done.warnings,
            "frames": done.frames,
            "reading": asdict(reading),
        }
        (unfinished / _TOLD).write_text(json.dumps(told, indent=1))
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def _alone(cache: Path, name: str) -> Iterator[None]:
    """Keeps other processes out; who is killed lets them in."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
