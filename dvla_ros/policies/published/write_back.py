"""A published checkpoint that was loaded and trained further, written as its own training code would have."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from dvla_ros.errors import CheckpointError
from dvla_ros.policies.golden import GOLDEN
from dvla_ros.policies.published.layout import Setup
from dvla_ros.weights.fit import expected_tensors, own_tensors
from dvla_ros.weights.tensor_files import TensorFiles
from dvla_ros.weights.tensor_source import TensorSource
from dvla_ros.weights.writing import TensorToWrite, write_tensors

_WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
_ADAPTERS = ("adapter_*", "lora_adapter", "non_lora_trainables.bin")


def write_back(
    setup: Setup,
    network: object,
    folder: Path,
    values: Mapping[str, Callable[[], Tensor]] | None = None,
    part_values: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint of the same form: names, shapes, types and shards of the tensors, and every other file.

    Weights into which an adapter was merged are written whole, and the adapter is left out: it would be merged twice.
    A golden chunk is left out, because the weights have changed.

    Args:
        setup: What was read.
        network: What `setup.network` gave, with other weights by now.
        folder: Where to; must not be there, or be empty.
        values: What to write for `network.model` instead of its own parameters and buffers, by their name there; with
            adapters in it, its own are others.
        part_values: Likewise for the parts that lie in files of their own.

    Raises:
        CheckpointError: The folder holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CheckpointError(f"{folder} holds something already; name another folder.")
    copy_small_files(setup, folder)
    source = setup.tensors()
    files = {n: s.path.name for n, s in source.stored.items()} if isinstance(source, TensorFiles) else None
    write_tensors(folder, _tensors(setup, network, source, values), shards_like=files)
    write_side_files(setup, network, folder, part_values)


def copy_small_files(setup: Setup, folder: Path) -> None:
    """Every file of a checkpoint but its weights, its adapters and its golden chunk."""
    left_out = shutil.ignore_patterns(*_WEIGHTS, *_ADAPTERS, GOLDEN)
    shutil.copytree(setup.folder, folder, ignore=left_out, dirs_exist_ok=True)
    for name in _folders_with_weights(setup.folder):
        shutil.copytree(setup.folder / name, folder / name, dirs_exist_ok=True)


def write_side_files(setup: Setup, network: object, folder: Path, values: Mapping[str, Tensor] | None = None) -> None:
    """The `.pt` files beside the weights; arguments as of `write_back`."""
    for name, part in setup.side_files(network).items():
        stored = torch.load(setup.folder / name, weights_only=True)
        torch.save(_like({**part.state_dict(), **(values or {})}, stored), folder / name)


def _tensors(
    setup: Setup, network: object, source: TensorSource, values: Mapping[str, Callable[[], Tensor]] | None
) -> list[TensorToWrite]:
    """Every tensor of the source, from the network where it has it, in the source's own type."""
    skeleton = setup.skeleton()
    expected = expected_tensors(skeleton.module, skeleton.locate)
    own = values if values is not None else _own(network.model)  # type: ignore[attr-defined]

    def planned(name: str) -> TensorToWrite:
        kind = source.dtype(name)
        equal = name if name in expected else skeleton.tied.get(name, name)
        if equal not in expected:
            return TensorToWrite(name, source.shape(name), kind, lambda: source.read(name))
        wanted = expected[equal]
        return TensorToWrite(
            name, wanted.shape, kind, lambda: wanted.join([own[part]() for part in wanted.own]).to(kind)
        )

    return [planned(name) for name in source.names]


def _own(module: nn.Module) -> dict[str, Callable[[], Tensor]]:
    return {name: each.tensor.detach for each in own_tensors(module) for name in each.names}


def _like(own: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A part's state under the names, and in the types, of the stored one."""
    return {name: own[name.removeprefix("module.")].detach().cpu().to(tensor.dtype) for name, tensor in stored.items()}


def _folders_with_weights(folder: Path) -> list[str]:
    """Folders beside the weights that have weights of their own, such as an image tokenizer; no adapters."""
    return [path.name for path in folder.iterdir() if path.is_dir() and (path / "config.json").is_file()]
