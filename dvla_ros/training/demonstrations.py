"""Demonstrations as arrays on disk: one folder a shard, memory-mapped when read.

Each frame holds what the policy would see and the clean chunk of actions the expert would take from there. Frames
also name the pixel and the position of what the sentence speaks of, which an auxiliary loss may use.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
    """Read every finished shard below the folders.

    Raises:
        ConfigurationError: No shard is there, one was written by another version, or shards disagree in cameras,
            sentences or dt.
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
        for key in ("cameras", "instructions", "task_names", "dt"):
            if getattr(manifest, key) != getattr(manifests[0], key):
                raise ConfigurationError(
                    f"{shard} has {key}={getattr(manifest, key)}, others {getattr(manifests[0], key)}."
                )
    columns = {name: np.concatenate([np.load(s / f"{name}.npy", mmap_mode="r") for s in shards]) for name in ARRAYS}
    return Demonstrations(manifests[0], **columns)


def read_manifest(shard: Path) -> Manifest:
    """Manifest of one shard."""
    fields = json.loads((shard / "manifest.json").read_text())
    for key in ("cameras", "instructions", "task_names"):
        fields[key] = tuple(fields[key])
    return Manifest(**fields)
