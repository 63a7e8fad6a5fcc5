"""Whether the tensors of a checkpoint are those of a network: none missing, none too many, every shape right."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from dvla_ros.errors import ConfigurationError
from dvla_ros.weights.names import Locate, Location, as_named
from dvla_ros.weights.tensor_source import TensorSource

NO_TIES: Mapping[str, str] = MappingProxyType({})
_LISTED = 10  # names of each kind in a message


@dataclass(frozen=True)
class Expected:
    """A published tensor that a network needs.

    Attributes:
        shape: Its full shape as published.
        own: Parameters or buffers of the network that it holds, in the order of its parts.
        trailing_ones: How many of its last dimensions, all of size 1, the network does not have.
        floating: Whether its numbers are floating point.
    """

    shape: tuple[int, ...]
    own: tuple[str, ...]
    trailing_ones: int
    floating: bool

    def split(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Views of a published tensor, one for each of `own`."""
        tensor = tensor.reshape(self.shape[: len(self.shape) - self.trailing_ones])
        return (tensor,) if len(self.own) == 1 else tensor.chunk(len(self.own))

    def join(self, tensors: list[Tensor]) -> Tensor:
        """The published tensor from the network's own, the inverse of `split`."""
        joined = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        return joined.reshape(self.shape)


@dataclass(frozen=True)
class OwnTensor:
    """A parameter or persistent buffer of a network.

    Attributes:
        tensor: It.
        names: All its names; a tied parameter has several.
    """

    tensor: Tensor
    names: tuple[str, ...]


def own_tensors(module: nn.Module) -> list[OwnTensor]:
    """Parameters and persistent buffers, in the network's order and each once."""
    names: dict[int, list[str]] = {}
    tensors: dict[int, Tensor] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if not isinstance(tensor, Tensor):  # a module's extra state
            continue
        tensors[id(tensor)] = tensor
        names.setdefault(id(tensor), []).append(name)
    return [OwnTensor(tensor, tuple(names[key])) for key, tensor in tensors.items()]


def expected_tensors(module: nn.Module, locate: Locate = as_named) -> dict[str, Expected]:
    """The published tensors that a network needs, by published name.

    Args:
        module: The network, on the meta device or not.
        locate: Where its parameters and persistent buffers are published; a tied parameter is asked for by the first
            of its names.

    Raises:
        ConfigurationError: `locate` sends two parameters to one place, or not all parts of a tensor are used.
    """
    found: dict[str, dict[int, tuple[Location, str, Tensor]]] = {}
    for own in own_tensors(module):
        name, location = own.names[0], locate(own.names[0])
        parts = found.setdefault(location.name, {})
        if location.part in parts:
            raise ConfigurationError(f"{name} and {parts[location.part][1]} are both located at {location}.")
        parts[location.part] = (location, name, own.tensor)
    return {published: _expected(published, parts) for published, parts in found.items()}


def _expected(published: str, parts: Mapping[int, tuple[Location, str, Tensor]]) -> Expected:
    pieces = [parts[part] for part in sorted(parts)]
    location, _, tensor = pieces[0]
    count, ones = location.parts, location.trailing_ones
    if {(place.parts, place.trailing_ones) for place, _, _ in pieces} != {(count, ones)} or len(pieces) != count:
        raise ConfigurationError(f"{published} has {count} parts, but the network uses {[p for p, _, _ in pieces]}.")
    shape = tuple(tensor.shape)
    if {tuple(own.shape) for _, _, own in pieces} != {shape} or (count > 1 and not shape):
        raise ConfigurationError(f"The parts of {published} have different shapes: {[n for _, n, _ in pieces]}.")
    full = (count * shape[0], *shape[1:]) if count > 1 else shape
    return Expected(full + (1,) * ones, tuple(name for _, name, _ in pieces), ones, tensor.is_floating_point())


@dataclass(frozen=True)
class FitProblems:
    """What of a checkpoint does not fit a network; false when all fits.

    Attributes:
        missing: Published names the network needs.
        unexpected: Published names nobody needs.
        misshapen: Names with the shape there and the one needed.
        wrong_type: Names with the type there, where whole numbers stand for fractions or the other way round.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    wrong_type: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen or self.wrong_type)

    def __str__(self) -> str:
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": self.misshapen,
            "of another type": self.wrong_type,
        }
        return "; ".join(f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds.items() if names)


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def fit_problems(
    source: TensorSource,
    expected: Mapping[str, Expected],
    *,
    optional: Collection[str] = (),
    ignored: Iterable[str] = (),
    tied: Mapping[str, str] = NO_TIES,
) -> FitProblems:
    """Compare names, shapes and types; nothing is read.

    Args:
        source: The checkpoint.
        expected: What the network needs, from `expected_tensors`.
        optional: Published names that may be missing.
        ignored: Regular expressions; a published name that one of them matches as a whole is known and unused.
        tied: Published names that may be missing because they equal another, with that other; both are known.
    """
    there_are = source.names
    origins = {name: origin(name, there_are, tied) for name in expected}
    needed = {name: there for name, there in origins.items() if there in there_are}
    known = expected.keys() | set(needed.values()) | tied.keys()
    unused = [re.compile(pattern) for pattern in ignored]
    return FitProblems(
        missing=tuple(name for name in expected if name not in needed and name not in optional),
        unexpected=tuple(
            name for name in there_are if name not in known and not any(p.fullmatch(name) for p in unused)
        ),
        misshapen=tuple(
            f"{name} is {list(source.shape(there))}, needs {list(expected[name].shape)}"
            for name, there in needed.items()
            if source.shape(there) != expected[name].shape
        ),
        wrong_type=tuple(
            f"{name} is {source.dtype(there)}"
            for name, there in needed.items()
            if source.dtype(there).is_floating_point != expected[name].floating
        ),
    )


def origin(name: str, there_are: Collection[str], tied: Mapping[str, str]) -> str:
    """Where a published tensor is read: under its own name, or under that of its equal where it is missing."""
    return tied[name] if name in tied and name not in there_are else name
