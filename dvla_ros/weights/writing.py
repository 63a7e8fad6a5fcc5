"""Writing a checkpoint's weights as safetensors, in shards with an index where they are long; one tensor at a time.

A folder has either the complete set or none: files get their names when all are written, the index last.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor, nn

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.weights.fit import Expected, expected_tensors, own_tensors
from dvla_ros.weights.names import Locate, as_named
from dvla_ros.weights.safetensors_header import DTYPE_NAMES, LENGTH_BYTES, METADATA
from dvla_ros.weights.tensor_files import INDEX_SUFFIX, SUFFIX

SHARD_BYTES = 5_000_000_000
_PARTIAL = ".partial"
_ALIGNMENT = 8  # bytes


class TensorToWrite(NamedTuple):
    """A tensor that is made when it is written.

    Attributes:
        name: Its published name.
        shape: Its shape.
        dtype: Type of its numbers.
        make: Gives it, on any device. On the meta device it has no values: the file gets a hole of its length, which
            takes no room on the disk and reads as zeros.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    make: Callable[[], Tensor]

    @property
    def nbytes(self) -> int:
        """Its length in bytes."""
        return self.dtype.itemsize * torch.Size(self.shape).numel()


def without_values(tensors: Iterable[TensorToWrite]) -> list[TensorToWrite]:
    """The same tensors as holes, see `TensorToWrite.make`."""
    return [each._replace(make=partial(torch.empty, each.shape, dtype=each.dtype, device="meta")) for each in tensors]


def write_sharded(
    folder: Path,
    module: nn.Module,
    locate: Locate = as_named,
    *,
    dtype: torch.dtype | None = None,
    shard_bytes: int = SHARD_BYTES,
    stem: str = "model",
    extra: Iterable[TensorToWrite] = (),
) -> tuple[Path, ...]:
    """Write a network's parameters and saved buffers under their published names and shapes.

    Args:
        folder: Where to; made if it is not there.
        module: The network.
        locate: Where its parameters are published.
        dtype: Type for floating-point tensors; None keeps that of the network.
        shard_bytes: Weights longer than this are split into files of at most this length of tensors.
        stem: Start of the files' names.
        extra: Published tensors that are not the network's.

    Returns:
        The files, the index last.

    Raises:
        CheckpointError: The folder holds a checkpoint already.
        ConfigurationError: A name occurs twice, `locate` does not suit the network, or the network has no values.
    """
    expected = expected_tensors(module, locate)
    own = {each.names[0]: each.tensor.detach() for each in own_tensors(module)}
    if empty := [name for name, tensor in own.items() if tensor.is_meta]:
        raise ConfigurationError(f"{empty[:10]} are on the meta device and have no values; load the network first.")
    mine = [_to_write(name, each, [own[part] for part in each.own], dtype) for name, each in expected.items()]
    return write_tensors(folder, [*mine, *extra], shard_bytes=shard_bytes, stem=stem)


def _to_write(name: str, expected: Expected, tensors: list[Tensor], dtype: torch.dtype | None) -> TensorToWrite:
    kind = dtype if dtype is not None and expected.floating else tensors[0].dtype
    return TensorToWrite(name, expected.shape, kind, lambda: expected.join(tensors).to(kind))


def write_tensors(
    folder: Path,
    tensors: Iterable[TensorToWrite],
    *,
    shard_bytes: int = SHARD_BYTES,
    stem: str = "model",
    shards_like: Mapping[str, str] | None = None,
) -> tuple[Path, ...]:
    """Write tensors that are made one after the other.

    Args:
        folder: Where to; made if it is not there.
        tensors: What to write.
        shard_bytes: Weights longer than this are split into files of at most this length of tensors.
        stem: Start of the files' names.
        shards_like: The file of every tensor by its name, to write the same shards again, whatever their length.

    Returns:
        The files, the index last.

    Raises:
        CheckpointError: The folder holds a checkpoint already.
        ConfigurationError: There is nothing to write, a name occurs twice, a tensor is not what was announced, or
            `shards_like` does not name its file.
    """
    planned = list(tensors)
    _check(planned)
    _refuse_to_overwrite(folder, stem)
    shards = _shards(planned, shard_bytes) if shards_like is None else _shards_like(planned, shards_like)
    count = len(shards)
    names = [f"{stem}{SUFFIX}"] if count == 1 else [f"{stem}-{i:05}-of-{count:05}{SUFFIX}" for i in range(1, count + 1)]
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in names]
    if count > 1:
        files.append(folder / f"{stem}{INDEX_SUFFIX}")
    try:
        for path, shard in zip(files, shards, strict=False):
            _write(_partial(path), lambda file, shard=shard: _write_shard(file, shard))  # type: ignore[misc]
        if count > 1:
            text = _index(dict(zip(names, shards, strict=True)))
            _write(_partial(files[-1]), lambda file: file.write(text.encode()))
        for path in files:
            _partial(path).rename(path)
    finally:
        for path in files:
            _partial(path).unlink(missing_ok=True)
    return tuple(files)


def _check(planned: list[TensorToWrite]) -> None:
    names = [each.name for each in planned]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ConfigurationError(f"The tensors {twice[:10]} are to be written twice.")
    if not names or METADATA in names:
        raise ConfigurationError(f"At least one tensor is needed and none may be called {METADATA}, got {names[:10]}.")
    if unknown := [f"{each.name} ({each.dtype})" for each in planned if each.dtype not in DTYPE_NAMES]:
        raise ConfigurationError(f"No safetensors type for {unknown[:10]}; convert them.")


def _refuse_to_overwrite(folder: Path, stem: str) -> None:
    if present := sorted(
        path.name for pattern in (f"{stem}{SUFFIX}*", f"{stem}-*-of-*{SUFFIX}") for path in folder.glob(pattern)
    ):
        raise CheckpointError(f"{folder} holds weights already ({', '.join(present[:10])}); name another folder.")


def _shards(planned: list[TensorToWrite], shard_bytes: int) -> list[list[TensorToWrite]]:
    """Tensors in their order, file by file; within a file the widest numbers come first, for alignment."""
    shards: list[list[TensorToWrite]] = [[]]
    filled = 0
    for each in planned:
        if shards[-1] and filled + each.nbytes > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(each)
        filled += each.nbytes
    return [sorted(shard, key=lambda each: -each.dtype.itemsize) for shard in shards]


def _shards_like(planned: list[TensorToWrite], files: Mapping[str, str]) -> list[list[TensorToWrite]]:
    if unknown := [each.name for each in planned if each.name not in files]:
        raise ConfigurationError(f"It is not said which file {unknown[:10]} are to be written to.")
    names = sorted({files[each.name] for each in planned})
    shards = [[each for each in planned if files[each.name] == name] for name in names]
    return [sorted(shard, key=lambda each: -each.dtype.itemsize) for shard in shards]


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}{_PARTIAL}")


def _write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    with path.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _write_shard(file: BinaryIO, shard: list[TensorToWrite]) -> None:
    header: dict[str, object] = {METADATA: {"format": "pt"}}
    end = 0
    for each in shard:
        start, end = end, end + each.nbytes
        header[each.name] = {
            "dtype": DTYPE_NAMES[each.dtype],
            "shape": list(each.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    file.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
    for each in shard:
        _write_tensor(file, each)


def _write_tensor(file: BinaryIO, each: TensorToWrite) -> None:
    tensor = _made(each)
    if tensor.is_meta:
        file.truncate(file.seek(each.nbytes, os.SEEK_CUR))
    else:
        file.write(_bytes(tensor))


def _made(each: TensorToWrite) -> Tensor:
    tensor = each.make()
    if tuple(tensor.shape) != tuple(each.shape) or tensor.dtype != each.dtype:
        raise ConfigurationError(
            f"{each.name} was announced as {list(each.shape)} {each.dtype}, but is {list(tensor.shape)} {tensor.dtype}."
        )
    return tensor


def _bytes(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _index(shards: dict[str, list[TensorToWrite]]) -> str:
    index = {
        "metadata": {"total_size": sum(each.nbytes for shard in shards.values() for each in shard)},
        "weight_map": {each.name: name for name, shard in shards.items() for each in shard},
    }
    return json.dumps(index, indent=2, sort_keys=True) + "\n"
