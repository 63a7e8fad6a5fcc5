"""Where published tensors come from, and how sources are laid over each other."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.own_pages import copy_on_own_pages


class TensorSource(Protocol):
    """Tensors by their published names; shapes and types are known before anything is read."""

    @property
    def names(self) -> AbstractSet[str]:
        """Every tensor there is."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Its shape."""

    def dtype(self, name: str) -> torch.dtype:
        """Type of its numbers."""

    def read(self, name: str) -> Tensor:
        """The tensor on the CPU, contiguous, in memory of its own that the caller may keep or change.

        Raises:
            CheckpointError: It cannot be read.
        """


@dataclass(frozen=True)
class HeldTensors:
    """Tensors that are in memory already, e.g. those of a `.pt` part."""

    tensors: Mapping[str, Tensor]

    @property
    def names(self) -> AbstractSet[str]:
        """Every tensor there is."""
        return self.tensors.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self.tensors[name].shape)

    def dtype(self, name: str) -> torch.dtype:
        """Type of its numbers."""
        return self.tensors[name].dtype

    def read(self, name: str) -> Tensor:
        """A copy."""
        return copy_on_own_pages(self.tensors[name])


@dataclass(frozen=True)
class Renamed:
    """Some tensors of a source under other names.

    Attributes:
        source: Where they are.
        sources_names: Each name here to the name there.
    """

    source: TensorSource
    sources_names: Mapping[str, str]

    def __post_init__(self) -> None:
        if lacking := sorted(set(self.sources_names.values()) - self.source.names):
            raise CheckpointError(f"The checkpoint has no tensors {lacking[:10]}, {len(lacking)} in total.")

    @property
    def names(self) -> AbstractSet[str]:
        """Every tensor there is."""
        return self.sources_names.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """Its shape."""
        return self.source.shape(self.sources_names[name])

    def dtype(self, name: str) -> torch.dtype:
        """Type of its numbers."""
        return self.source.dtype(self.sources_names[name])

    def read(self, name: str) -> Tensor:
        """As the source reads it."""
        return self.source.read(self.sources_names[name])


@dataclass(frozen=True)
class Overlaid:
    """Two sources as one; where both have a tensor, that of `above` counts."""

    below: TensorSource
    above: TensorSource

    @property
    def names(self) -> AbstractSet[str]:
        """Every tensor there is."""
        return set(self.below.names) | set(self.above.names)

    def shape(self, name: str) -> tuple[int, ...]:
        """Its shape."""
        return self._holder(name).shape(name)

    def dtype(self, name: str) -> torch.dtype:
        """Type of its numbers."""
        return self._holder(name).dtype(name)

    def read(self, name: str) -> Tensor:
        """As its source reads it."""
        return self._holder(name).read(name)

    def _holder(self, name: str) -> TensorSource:
        return self.above if name in self.above.names else self.below
