"""Demonstrations as arrays on disk: one folder a shard, written here.

Each frame holds what the policy would see and the clean chunk of actions the expert would take from there. Frames
also name the pixel and the position of what the sentence speaks of, which an auxiliary loss may use.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dvla_ros.errors import RecordingError

FORMAT = 3
HORIZON = 8
"""Rows of a label where nothing else is asked for; what the small policies decide at once."""
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
        format: Of the files.
        horizon: H, rows of each label; a manifest from before there was a choice does not say, and means 8.
    """

    cameras: tuple[str, ...]
    instructions: tuple[str, ...]
    task_names: tuple[str, ...]
    dt: float
    seed: int
    source: str
    format: int = FORMAT
    horizon: int = HORIZON


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
    """Finish a shard, at once: a manifest is there whole or not at all."""
    unfinished = folder / "manifest.json.part"
    unfinished.write_text(json.dumps(asdict(manifest), indent=1))
    unfinished.replace(folder / "manifest.json")


def read_manifest(shard: Path) -> Manifest:
    """Manifest of one shard.

    Raises:
        RecordingError: It is not what is written by `write_manifest`.
    """
    path = shard / "manifest.json"
    try:
        fields = json.loads(path.read_text())
        for key in ("cameras", "instructions", "task_names"):
            fields[key] = tuple(fields[key])
        return Manifest(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordingError(
            f"{path} is broken: {error!r}. Copy the data set again, or remove this shard's folder."
        ) from None
