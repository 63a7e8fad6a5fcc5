"""Demonstrations as they are trained on: all frames of some shards as columns, the pictures left on the disk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dvla_ros.errors import ConfigurationError
from dvla_ros.training.frame_column import FrameColumn
from dvla_ros.training.shard import ARRAYS, Manifest
from dvla_ros.training.shard_checks import OpenShard, require_alike, require_whole

ON_DISK = ("images", "futures")
"""Columns that are read frame by frame; the others, some 400 bytes a frame, are held in memory."""


@dataclass(frozen=True)
class Demonstrations:
    """All frames of some shards. Columns are as in `Frame` with a leading frame axis."""

    manifest: Manifest
    images: FrameColumn | np.ndarray
    states: np.ndarray
    actions: np.ndarray
    instructions: np.ndarray
    pixels: np.ndarray
    points: np.ndarray
    futures: FrameColumn | np.ndarray
    episodes: np.ndarray
    frozen: np.ndarray

    def __len__(self) -> int:
        return len(self.states)


def read_demonstrations(folders: Sequence[Path]) -> Demonstrations:
    """Open every finished shard below the folders; where their sentences differ, the set has all of them.

    Raises:
        ConfigurationError: No shard is there, one was written by another version, or shards disagree in cameras, dt,
            horizon, size of the pictures, columns of states and actions, or the task of a sentence.
        RecordingError: A shard is damaged: its files are broken, cut or of different lengths, or hold what cannot be.
    """
    folders_of_shards = sorted(path.parent for folder in folders for path in Path(folder).rglob("manifest.json"))
    if not folders_of_shards:
        raise ConfigurationError(
            f"No demonstrations below {', '.join(map(str, folders))}; make some with `dvla collect`."
        )
    shards = [OpenShard.of(folder) for folder in folders_of_shards]
    require_alike(shards)
    columns = {name: FrameColumn([shard.files[name] for shard in shards]) for name in ARRAYS}
    held = {name: column if name in ON_DISK else column[:] for name, column in columns.items()}
    require_whole(shards, held)
    tasks = _tasks_of_sentences(shards)
    held["instructions"] = _numbers_among(tuple(tasks), shards, columns["instructions"][:])
    manifest = replace(shards[0].manifest, instructions=tuple(tasks), task_names=tuple(tasks.values()))
    return Demonstrations(manifest, **held)  # type: ignore[arg-type]


def require_horizon(demonstrations: Demonstrations, horizon: int, reader: str) -> None:
    """Refuse labels that are too short for whom they are to teach.

    Args:
        demonstrations: To learn from.
        horizon: Rows that the learner decides at once.
        reader: What it is called, for the message.

    Raises:
        ConfigurationError: They have fewer rows.
    """
    if demonstrations.manifest.horizon < horizon:
        raise ConfigurationError(
            f"{reader} learns {horizon} actions at once, the demonstrations have {demonstrations.manifest.horizon}: "
            f"make them again with --horizon {horizon}."
        )


def _tasks_of_sentences(shards: Sequence[OpenShard]) -> dict[str, str]:
    """The task of each sentence of any shard, in order of appearance."""
    tasks: dict[str, str] = {}
    for shard in shards:
        for sentence, task in zip(shard.manifest.instructions, shard.manifest.task_names, strict=True):
            if tasks.setdefault(sentence, task) != task:
                raise ConfigurationError(
                    f"{shard.folder} has task_names={task!r} for {sentence!r}, others {tasks[sentence]!r}."
                )
    return tasks


def _numbers_among(sentences: tuple[str, ...], shards: Sequence[OpenShard], own: np.ndarray) -> np.ndarray:
    """The number among all sentences of each frame's, int64 `[N]`, from its number in its own manifest."""
    parts = np.split(own, np.cumsum([len(shard) for shard in shards])[:-1])
    numbers = [np.array([sentences.index(s) for s in shard.manifest.instructions], np.int64) for shard in shards]
    return np.concatenate([new[old] for new, old in zip(numbers, parts, strict=True)])
