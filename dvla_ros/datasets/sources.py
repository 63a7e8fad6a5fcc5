"""Which kind of source a path is, and opening it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from dvla_ros.datasets.lerobot_layout import INFO
from dvla_ros.datasets.lerobot_source import LerobotSource
from dvla_ros.datasets.read_options import ReadOptions
from dvla_ros.datasets.training_set import TrainingSetSource
from dvla_ros.datasets.trajectory import Source
from dvla_ros.errors import RecordingError

Kind = Literal["bag", "lerobot", "training"]
_BAG_FILES = ("*.mcap", "*.db3")


def kind_of(path: Path) -> Kind:
    """What a path holds.

    Raises:
        RecordingError: Nothing is there, or nothing that is known.
    """
    if not path.exists():
        raise RecordingError(f"{path} does not exist.")
    if (path / INFO).is_file():
        return "lerobot"
    if path.is_file() or bags_in(path):
        return "bag"
    if any(path.rglob("manifest.json")):
        return "training"
    raise RecordingError(
        f"{path} is neither a rosbag2 (metadata.yaml, *.mcap, *.db3), nor a LeRobot data set ({INFO}), nor a training "
        "set (manifest.json)."
    )


def bags_in(path: Path) -> list[Path]:
    """The path where it is a bag, else the bags right below it, in order of their names."""
    if path.is_file() or _is_bag(path):
        return [path]
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and _is_bag(folder))


def open_source(paths: Sequence[Path], options: ReadOptions) -> Source:
    """The source that some paths are together.

    Raises:
        RecordingError: They are of several kinds, there are several LeRobot data sets, or one cannot be read.
    """
    kinds = {path: kind_of(path) for path in paths}
    if len(set(kinds.values())) != 1:
        told = ", ".join(f"{path} ({kind})" for path, kind in kinds.items())
        raise RecordingError(f"All sources must be of one kind, got {told or 'none'}.")
    kind = next(iter(kinds.values()))
    if kind == "bag":
        from dvla_ros.datasets.bag_source import BagSource

        return BagSource([bag for path in paths for bag in bags_in(path)], options)
    if kind == "lerobot" and len(paths) > 1:
        raise RecordingError("Only one LeRobot data set is read at a time; merge them with LeRobot's own tools.")
    source: Source = (
        LerobotSource(paths[0], options.cameras, options.size, options.pictures)
        if kind == "lerobot"
        else TrainingSetSource(paths, options.cameras, options.size, options.pictures)
    )
    _require_rate(source, options.fps)
    return source


def _is_bag(folder: Path) -> bool:
    return (folder / "metadata.yaml").is_file() or any(any(folder.glob(pattern)) for pattern in _BAG_FILES)


def _require_rate(source: Source, fps: float | None) -> None:
    if fps is not None and abs(fps - source.fps) > 1e-6:
        raise RecordingError(
            f"{source.name} has {source.fps:g} frames a second and cannot be made into {fps:g}: its actions lead from "
            "one frame to the next. Leave --fps out, or convert the recordings again."
        )
