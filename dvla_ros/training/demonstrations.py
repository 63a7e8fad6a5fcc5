"""Demonstrations as arrays on disk: one folder a shard, memory-mapped when read.

Each frame holds what the policy would see and the clean chunk of actions the expert would take from there. Frames
also name the pixel and the position of what the sentence speaks of, which an auxiliary loss may use.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from dvla_ros.errors import ConfigurationError

FORMAT = 3
HORIZON = 8
FUTURE_SIZE = (64, 48)
"""Width and height of the stored future images."""
ARRAYS = ("images", "states", "actions", "instructions", "pixels", "points", "futures", "episodes", "frozen")


@dataclass(frozen=True)
class Manifest:
    """What a shard contains.

    Attributes:
        cameras: Camera names, in the order of `images`.
        instructions: The sentences that `instructions` indexes.
        task_names: The task of each sentence; "" for a sentence that is of no simulated task.
        dt: Seconds between actions.
        seed: Seed of the collection.
        source: `expert`, the checkpoint that drove the arm (the expert labels all the same), or `recording`.
    """

    cameras: tuple[str, ...]
    instructions: tuple[str, ...]
    task_names: tuple[str, ...]
    dt: float
    seed: int
    source: str
    format: int = FORMAT


@dataclass(frozen=True)
class Frame:
    """One labelled instant.

    Attributes:
        images: uint8 `[C, h, w, 3]` RGB.
        state: float32 `[7]` Bridge state.
        actions: float32 `[H, 7]` Bridge actions of the expert from here on.
        instruction: Index into the manifest's sentences.
        pixels: float32 `[C, 2, 2]` (u, v) in 0..1 of the target and of the place it is to go to (the target again
            when there is none) in each camera; outside 0..1 when out of view, NaN in a recording, which cannot know.
        points: float32 `[2, 3]` the same two in the base frame, m; NaN in a recording.
        futures: uint8 `[C, 48, 64, 3]` RGB, what the cameras see after the chunk of `actions`.
        episode: Episode number.
        frozen: How many of the first actions were being executed already when the picture was taken: the arm moves.
            They are what it does, not what the expert wants; 0 for an arm at rest.
    """

    images: np.ndarray
    state: np.ndarray
    actions: np.ndarray
    instruction: int
    pixels: np.ndarray
    points: np.ndarray
    futures: np.ndarray
    episode: int
    frozen: int = 0


def write_shard(folder: Path, manifest: Manifest, frames: Sequence[Frame]) -> None:
    """Write one shard; the manifest last, so that a shard without one is an unfinished one."""
    write_frames(folder, frames)
    write_manifest(folder, manifest)


def write_frames(folder: Path, frames: Sequence[Frame]) -> None:
    """Write the arrays of a shard, which counts for nothing until its manifest is there."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = {
        "images": np.stack([f.images for f in frames]),
        "states": np.stack([f.state for f in frames]).astype(np.float32),
        "actions": np.stack([f.actions for f in frames]).astype(np.float32),
        "instructions": np.array([f.instruction for f in frames], dtype=np.int64),
        "pixels": np.stack([f.pixels for f in frames]).astype(np.float32),
        "points": np.stack([f.points for f in frames]).astype(np.float32),
        "futures": np.stack([f.futures for f in frames]),
        "episodes": np.array([f.episode for f in frames], dtype=np.int64),
        "frozen": np.array([f.frozen for f in frames], dtype=np.int64),
    }
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Finish a shard."""
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest), indent=1))


@dataclass(frozen=True)
class Demonstrations:
    """All frames of some shards, in memory. Arrays are as in `Frame` with a leading frame axis."""

    manifest: Manifest
    images: np.ndarray
    states: np.ndarray
    actions: np.ndarray
    instructions: np.ndarray
    pixels: np.ndarray
    points: np.ndarray
    futures: np.ndarray
    episodes: np.ndarray
    frozen: np.ndarray

    def __len__(self) -> int:
        return len(self.states)


def read_demonstrations(folders: Sequence[Path]) -> Demonstrations:
    """Read every finished shard below the folders; where their sentences differ, the set has all of them.

    Raises:
        ConfigurationError: No shard is there, one was written by another version, or shards disagree in cameras, dt,
            size of the pictures or the task of a sentence.
    """
    shards = sorted(path.parent for folder in folders for path in Path(folder).rglob("manifest.json"))
    if not shards:
        raise ConfigurationError(
            f"No demonstrations below {', '.join(map(str, folders))}; make some with `dvla collect`."
        )
    manifests = [read_manifest(shard) for shard in shards]
    for shard, manifest in zip(shards, manifests, strict=True):
        if manifest.format != FORMAT:
            raise ConfigurationError(f"{shard} has format {manifest.format}, not {FORMAT}: collect it again.")
        for key in ("cameras", "dt"):
            if getattr(manifest, key) != getattr(manifests[0], key):
                raise ConfigurationError(
                    f"{shard} has {key}={getattr(manifest, key)}, others {getattr(manifests[0], key)}."
                )
    _require_one_size(shards)
    tasks = _tasks_of_sentences(shards, manifests)
    columns = {name: np.concatenate([np.load(s / f"{name}.npy", mmap_mode="r") for s in shards]) for name in ARRAYS}
    numbers = [_numbers_in(manifest, tuple(tasks)) for manifest in manifests]
    own = [np.load(shard / "instructions.npy") for shard in shards]
    columns["instructions"] = np.concatenate([new[old] for new, old in zip(numbers, own, strict=True)])
    return Demonstrations(replace(manifests[0], instructions=tuple(tasks), task_names=tuple(tasks.values())), **columns)


def _require_one_size(shards: Sequence[Path]) -> None:
    shapes = [np.load(shard / "images.npy", mmap_mode="r").shape for shard in shards]
    for shard, shape in zip(shards, shapes, strict=True):
        if shape[1:] != shapes[0][1:]:
            raise ConfigurationError(
                f"{shard} has pictures of {shape[3]}x{shape[2]}, others of {shapes[0][3]}x{shapes[0][2]}: convert it "
                "again with the same --image-size."
            )


def _tasks_of_sentences(shards: Sequence[Path], manifests: Sequence[Manifest]) -> dict[str, str]:
    """The task of each sentence of any shard, in order of appearance."""
    tasks: dict[str, str] = {}
    for shard, manifest in zip(shards, manifests, strict=True):
        for sentence, task in zip(manifest.instructions, manifest.task_names, strict=True):
            if tasks.setdefault(sentence, task) != task:
                raise ConfigurationError(
                    f"{shard} has task_names={task!r} for {sentence!r}, others {tasks[sentence]!r}."
                )
    return tasks


def _numbers_in(manifest: Manifest, sentences: tuple[str, ...]) -> np.ndarray:
    """The number among all sentences of each one of a manifest, int64."""
    return np.array([sentences.index(sentence) for sentence in manifest.instructions], np.int64)


def read_manifest(shard: Path) -> Manifest:
    """Manifest of one shard."""
    fields = json.loads((shard / "manifest.json").read_text())
    for key in ("cameras", "instructions", "task_names"):
        fields[key] = tuple(fields[key])
    return Manifest(**fields)
