"""The safetensors files of a checkpoint: one, or shards with an index. All is checked before a tensor is read.

Tensors are read by plain file reads, one at a time: pages of a memory-mapped file would count as this process' memory.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.checkpoint_folder import check_file_name, file_in, json_in
from dvla_ros.weights.own_pages import empty_on_own_pages
from dvla_ros.weights.safetensors_header import StoredTensor, read_header

SUFFIX = ".safetensors"
INDEX_SUFFIX = ".safetensors.index.json"
SINGLE = f"model{SUFFIX}"
_LISTED = 10  # names in a message


@dataclass(frozen=True)
class TensorFiles:
    """Tensors on disk by their published names.

    Attributes:
        where: The folder or file, for messages.
        stored: Where each tensor is.
    """

    where: Path
    stored: Mapping[str, StoredTensor]

    @classmethod
    def open(cls, folder: Path) -> "TensorFiles":
        """Open the weights of a checkpoint folder: `model.safetensors`, or the shards that its one index names.

        Raises:
            CheckpointError: There are none or several, files are missing, broken or outside of the folder, or index
                and shards contradict each other.
        """
        if not folder.is_dir():
            raise CheckpointError(f"There is no checkpoint folder {folder}; pass the folder that holds the weights.")
        index = _index_name(folder)
        if index is None:
            return cls.of_file(folder, SINGLE)
        shards = _shards(folder, index)
        if _exists(folder / SINGLE) and SINGLE not in shards.values():
            raise CheckpointError(
                f"{folder} holds both {SINGLE} and the shards of {index}; remove the one that is left over."
            )
        return cls(folder, _joined(folder, index, shards))

    @classmethod
    def of_file(cls, folder: Path, name: str) -> "TensorFiles":
        """Open one safetensors file of a checkpoint folder, e.g. that of an adapter.

        Raises:
            CheckpointError: It is missing, broken or outside of the folder.
        """
        path = file_in(folder, name)
        return cls(folder / name, read_header(path))

    @property
    def names(self) -> AbstractSet[str]:
        """Every tensor there is."""
        return self.stored.keys()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors together."""
        return sum(stored.nbytes for stored in self.stored.values())

    def shape(self, name: str) -> tuple[int, ...]:
        """Its shape."""
        return self._of(name).shape

    def dtype(self, name: str) -> torch.dtype:
        """Type of its numbers."""
        return self._of(name).dtype

    def read(self, name: str) -> Tensor:
        """The tensor on the CPU, in memory of its own; nothing else of the file is read.

        Raises:
            CheckpointError: There is no such tensor, or the file cannot be read or was changed since it was opened.
        """
        stored = self._of(name)
        data = empty_on_own_pages([stored.nbytes], torch.uint8)
        try:
            _fill(data.numpy().data, stored)
        except OSError as error:
            raise CheckpointError(f"{stored.path}: tensor {name!r} cannot be read: {error}.") from error
        # A byte other than 0 and 1 is no valid bool in memory.
        values = data != 0 if stored.dtype == torch.bool else data.view(stored.dtype)
        return values.reshape(stored.shape)

    def _of(self, name: str) -> StoredTensor:
        if name not in self.stored:
            raise CheckpointError(f"{self.where} has no tensor {name!r}.")
        return self.stored[name]


def _fill(data: memoryview, stored: StoredTensor) -> None:
    with stored.path.open("rb", buffering=0) as file:
        file.seek(stored.start)
        filled = 0
        while filled < stored.nbytes:
            count = file.readinto(data[filled:])
            if not count:
                raise OSError(f"the file became shorter, {stored.nbytes - filled} bytes are missing")
            filled += count


def _exists(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _index_name(folder: Path) -> str | None:
    """The index of the folder, None for a single file."""
    indices = sorted(path.name for path in folder.iterdir() if path.name.endswith(INDEX_SUFFIX))
    if len(indices) > 1:
        raise CheckpointError(f"{folder} holds several sets of weights, {indices}; keep one of them in the folder.")
    if indices:
        return indices[0]
    if _exists(folder / SINGLE):
        return None
    others = sorted(p.name for p in folder.iterdir() if p.suffix in (SUFFIX, ".bin", ".pt", ".pth", ".gguf"))
    found = f"it holds {others[:_LISTED]}" if others else "it holds no weights at all"
    raise CheckpointError(
        f"{folder} has neither {SINGLE} nor model{INDEX_SUFFIX}; {found}. Complete the download, pass the folder "
        "of the whole model, or save the weights as safetensors."
    )


def _shards(folder: Path, index: str) -> dict[str, str]:
    """Each tensor's shard as the index says; all shards are there."""
    weight_map = json_in(folder, index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{folder / index} has no weight_map; copy the file again.")
    if odd := [name for name in weight_map.values() if not isinstance(name, str) or not name.endswith(SUFFIX)]:
        raise CheckpointError(f"{folder / index} names the shard {odd[0]!r}; only {SUFFIX} files are read.")
    for shard in dict.fromkeys(weight_map.values()):
        check_file_name(folder, shard)
    if missing := [name for name in sorted(set(weight_map.values())) if not _exists(folder / name)]:
        raise CheckpointError(
            f"{folder} lacks {len(missing)} of the {len(set(weight_map.values()))} shards that {index} names: "
            f"{', '.join(missing)}. The download is incomplete; complete it."
        )
    return weight_map


def _joined(folder: Path, index: str, shards: Mapping[str, str]) -> dict[str, StoredTensor]:
    """All tensors of all shards; a tensor that the index forgot is there all the same."""
    joined: dict[str, StoredTensor] = {}
    holders: dict[str, str] = {}
    for shard in dict.fromkeys(shards.values()):
        header = read_header(file_in(folder, shard))
        if twice := sorted(joined.keys() & header.keys()):
            raise CheckpointError(
                f"{folder}: the tensor {twice[0]!r} is in {holders[twice[0]]} and in {shard} ({len(twice)} such "
                "tensors); the shards are not of one checkpoint, copy the folder again."
            )
        joined.update(header)
        holders.update(dict.fromkeys(header, shard))
    if lacking := [name for name, shard in shards.items() if holders.get(name) != shard]:
        examples = ", ".join(f"{name} in {shards[name]}" for name in lacking[:_LISTED])
        raise CheckpointError(
            f"{folder}: {len(lacking)} tensors are not where {index} says: {examples}. Index and shards are not of "
            "one checkpoint; copy the folder again."
        )
    return joined
