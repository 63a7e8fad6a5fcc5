"""Published tensors into a network, one at a time: what is in memory is the network and the largest tensor.

Build the network with `on_meta` and give it to `load_into` with the source and the names of its parameters there.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.weights.fit import NO_TIES, Expected, fit_problems, origin, own_tensors
from dvla_ros.weights.fit import expected_tensors as expected_tensors
from dvla_ros.weights.meta_network import on_meta as on_meta
from dvla_ros.weights.names import Locate, as_named
from dvla_ros.weights.tensor_source import TensorSource as TensorSource


def load_into(
    module: nn.Module,
    source: TensorSource,
    locate: Locate = as_named,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    ignored: Iterable[str] = (),
    tied: Mapping[str, str] = NO_TIES,
    where: str | Path,
) -> None:
    """Replace all parameters and saved buffers of a network by published tensors; all is checked before any is read.

    Parameters need no gradient afterwards. Buffers that are not saved must be real, as `on_meta` leaves them; they move
    to the device and keep their type. An error while reading leaves the network half loaded: drop it.

    Args:
        module: The network, built with `on_meta`; what it holds otherwise is given up tensor by tensor.
        source: The checkpoint.
        locate: Where the network's parameters are published.
        device: Where the network is to run; on the meta device nothing is read.
        dtype: Type for floating-point tensors; None keeps that of the checkpoint.
        ignored: Regular expressions; a published name that one of them matches as a whole is known and unused.
        tied: Published names that may be missing because they equal another, with that other. Two parameters that are
            read from one tensor share its memory.
        where: The checkpoint's place, for messages.

    Raises:
        CheckpointError: Tensors are missing, unexpected, or of another shape or type; all are named.
        ConfigurationError: `locate` does not suit the network, or an unsaved buffer has no values.
    """
    expected = expected_tensors(module, locate)
    if problems := fit_problems(source, expected, ignored=ignored, tied=tied):
        raise CheckpointError(
            f"{where} does not fit the network: {problems}. Check that config.json belongs to these weights and that "
            "the folder is complete."
        )
    names = {own.names[0]: own.names for own in own_tensors(module)}
    _check_buffers(module, {name for alike in names.values() for name in alike})
    for there, wanted in _by_origin(expected, source, tied).items():
        pieces = _pieces(wanted[0], _read(source, there, torch.device(device)), torch.device(device), dtype)
        for each in wanted:
            for first, piece in zip(each.own, pieces, strict=True):
                for name in names[first]:
                    _assign(module, name, piece)
    _move_buffers(module, torch.device(device))


def _read(source: TensorSource, name: str, device: torch.device) -> Tensor:
    if device.type == "meta":
        return torch.empty(source.shape(name), dtype=source.dtype(name), device=device)
    return source.read(name)


def _check_buffers(module: nn.Module, saved: set[str]) -> None:
    if empty := [name for name, buffer in module.named_buffers() if buffer.is_meta and name not in saved]:
        raise ConfigurationError(
            f"The buffers {empty[:10]} are on the meta device and in no checkpoint; build the network with on_meta."
        )


def _by_origin(
    expected: Mapping[str, Expected], source: TensorSource, tied: Mapping[str, str]
) -> dict[str, list[Expected]]:
    """For each tensor to be read, what it fills: several only where a tied one is missing."""
    there_are = source.names
    wanted: dict[str, list[Expected]] = {}
    for name, each in expected.items():
        wanted.setdefault(origin(name, there_are, tied), []).append(each)
    for there, fills in wanted.items():
        if len({len(each.own) for each in fills}) > 1:
            raise ConfigurationError(f"{there} is tied, but {[each.own for each in fills]} split it differently.")
    return wanted


def _pieces(expected: Expected, tensor: Tensor, device: torch.device, dtype: torch.dtype | None) -> list[nn.Parameter]:
    """The network's own tensors; of several pieces each gets memory of its own, so that none keeps the others alive."""
    kind = dtype if dtype is not None and expected.floating else tensor.dtype
    pieces = expected.split(tensor)
    return [
        nn.Parameter(piece.to(device=device, dtype=kind, copy=len(pieces) > 1), requires_grad=False) for piece in pieces
    ]


def _assign(module: nn.Module, name: str, value: nn.Parameter) -> None:
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    setattr(owner, leaf, value if isinstance(getattr(owner, leaf), nn.Parameter) else value.data)


def _move_buffers(module: nn.Module, device: torch.device) -> None:
    for owner in module.modules():
        for name, buffer in list(owner.named_buffers(recurse=False)):
            setattr(owner, name, buffer.to(device))
