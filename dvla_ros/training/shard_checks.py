"""What is looked at before a shard is trained on: its files, what is in them, and whether shards go together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvla_ros.errors import ConfigurationError, RecordingError
from dvla_ros.training.frame_column import FrameColumn
from dvla_ros.training.npy_rows import NpyRows
from dvla_ros.training.shard import ARRAYS, FORMAT, Manifest, read_manifest

_DIMENSIONS = {"images": 5, "states": 2, "actions": 3, "futures": 5, "pixels": 4, "points": 3}
"""Axes of the columns; the others have one."""


@dataclass(frozen=True)
class OpenShard:
    """A shard whose headers have been read.

    Attributes:
        folder: Where it is.
        manifest: What it says.
        files: By column.
    """

    folder: Path
    manifest: Manifest
    files: Mapping[str, NpyRows]

    def __len__(self) -> int:
        return len(self.files["states"])

    @classmethod
    def of(cls, folder: Path) -> "OpenShard":
        """Open the files of a shard.

        Raises:
            ConfigurationError: It was written by another version.
            RecordingError: A file is damaged, or they have different lengths.
        """
        manifest = read_manifest(folder)
        if manifest.format != FORMAT:
            raise ConfigurationError(f"{folder} has format {manifest.format}, not {FORMAT}: collect it again.")
        shard = cls(folder, manifest, {name: NpyRows(folder / f"{name}.npy") for name in ARRAYS})
        for name, file in shard.files.items():
            if len(file.shape) != _DIMENSIONS.get(name, 1):
                raise _damaged(folder, f"{name} of shape {file.shape}, not of {_DIMENSIONS.get(name, 1)} axes")
            if len(file) != len(shard):
                raise _damaged(folder, f"{len(shard)} states but {len(file)} {name}")
        if shard.files["actions"].shape[1] != manifest.horizon:
            raise _damaged(
                folder, f"labels of {shard.files['actions'].shape[1]} actions, its manifest says {manifest.horizon}"
            )
        return shard


def require_alike(shards: Sequence[OpenShard]) -> None:
    """Refuse shards that cannot be one set.

    Raises:
        ConfigurationError: They disagree; names the shard, what it has and what the others have.
    """
    first = shards[0]
    for shard in shards:
        for key in ("cameras", "dt", "horizon"):
            own, others = getattr(shard.manifest, key), getattr(first.manifest, key)
            if own != others:
                raise ConfigurationError(f"{shard.folder} has {key}={own}, others {others}{_HINT.get(key, '.')}")
        own, others = shard.files["images"].shape[2:4], first.files["images"].shape[2:4]
        if own != others:
            raise ConfigurationError(
                f"{shard.folder} has pictures of {own[1]}x{own[0]}, others of {others[1]}x{others[0]}: convert it "
                "again with the same --image-size."
            )
        for name in ("states", "actions"):
            own, others = shard.files[name].shape[-1], first.files[name].shape[-1]
            if own != others:
                raise ConfigurationError(
                    f"{shard.folder} has {name} of {own} numbers, others of {others}: they are of another robot or "
                    "action space; train on them alone."
                )


_HINT = {"horizon": ": make them with the same --horizon."}


def require_whole(shards: Sequence[OpenShard], columns: Mapping[str, FrameColumn | np.ndarray]) -> None:
    """Refuse numbers that cannot be in a shard.

    Args:
        shards: In the order of the frames.
        columns: Of all their frames.

    Raises:
        RecordingError: States or actions are not finite, a sentence is none of the manifest's, or more actions are
            frozen than there are.
    """
    begin = 0
    for shard in shards:
        rows = slice(begin, begin + len(shard))
        for name in ("states", "actions"):
            finite = np.isfinite(columns[name][rows].reshape(len(shard), -1)).all(axis=1)
            if len(bad := np.flatnonzero(~finite)):
                raise _damaged(shard.folder, f"{name} that are no finite numbers in {len(bad)} frames, first {bad[0]}")
        for name, end in (
            ("instructions", len(shard.manifest.instructions)),
            ("frozen", shard.manifest.horizon + 1),
        ):
            values = columns[name][rows]
            if len(bad := np.flatnonzero((values < 0) | (values >= end))):
                raise _damaged(shard.folder, f"{name}={values[bad[0]]} in frame {bad[0]}, must be 0 to {end - 1}")
        begin += len(shard)


def _damaged(folder: Path, what: str) -> RecordingError:
    return RecordingError(f"{folder} is damaged: it has {what}. Make it again, or remove the folder.")
