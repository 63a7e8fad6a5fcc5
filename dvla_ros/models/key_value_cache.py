"""What is remembered of the positions that were run before: one that grows, and one of fixed size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from dvla_ros.errors import ConfigurationError

KeysValues = tuple[Tensor, Tensor]
"""Keys and values of one layer, `[B, kv_heads, L, head_dim]` each, keys already turned to their positions."""

CacheT = TypeVar("CacheT", bound="KeyValueCache")


class KeyValueCache(Protocol):
    """Keys and values of the positions before; a value that never changes, seen from outside."""

    @property
    def length(self) -> int:
        """Number of positions held."""
        ...

    def join(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:
        """Those of one layer followed by new ones, for this call only; the cache does not hold the new ones."""
        ...

    def extended(self: CacheT, joined: Sequence[KeysValues]) -> CacheT:
        """The cache that holds the new ones too, given what `join` returned for every layer."""
        ...

    def repeat(self: CacheT, times: int) -> CacheT:
        """The same for `times` canvases per row: `[B * times, ...]`, those of one row side by side."""
        ...


@dataclass(frozen=True)
class PrefixCache:
    """A cache whose every extension is a new tensor: gradients flow through it. Without layers it is empty.

    Attributes:
        keys: One `[B, kv_heads, P, head_dim]` per layer.
        values: Likewise.
    """

    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()

    @property
    def length(self) -> int:
        """Number of positions P."""
        return self.keys[0].shape[2] if self.keys else 0

    def join(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:
        """Concatenate."""
        if not self.keys:
            return keys, values
        return torch.cat([self.keys[layer], keys], dim=2), torch.cat([self.values[layer], values], dim=2)

    def extended(self, joined: Sequence[KeysValues]) -> "PrefixCache":
        """Hold what was concatenated."""
        keys, values = zip(*joined, strict=True)
        return PrefixCache(keys, values)

    def first(self, length: int) -> "PrefixCache":
        """The leading positions alone."""
        return PrefixCache(tuple(k[:, :, :length] for k in self.keys), tuple(v[:, :, :length] for v in self.values))

    def repeat(self, times: int) -> "PrefixCache":
        """The same prefix for `times` canvases per row: `[B * times, ...]`, rows of one prefix side by side."""
        return PrefixCache(
            tuple(k.repeat_interleave(times, dim=0) for k in self.keys),
            tuple(v.repeat_interleave(times, dim=0) for v in self.values),
        )


@dataclass(frozen=True)
class StaticCache:
    """A cache in memory set aside beforehand: nothing is allocated or moved while it fills. For inference only.

    New keys and values are written behind the held ones, where the next call may overwrite them; `extended` only moves
    the end. A shorter cache therefore shares its memory with a longer one made from it, and what it holds stays true.

    Attributes:
        keys: One `[B, kv_heads, capacity, head_dim]` per layer.
        values: Likewise.
        length: Number of positions held, from the first.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    length: int = 0

    @classmethod
    def holding(cls, cache: PrefixCache, room: int) -> "StaticCache":
        """What a cache holds, with room for so many positions more behind it."""

        def widened(parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            made = tuple(t.new_empty(*t.shape[:2], t.shape[2] + room, t.shape[3]) for t in parts)
            for new, old in zip(made, parts, strict=True):
                new[:, :, : old.shape[2]] = old
            return made

        return cls(widened(cache.keys), widened(cache.values), cache.length)

    def take(self, cache: PrefixCache) -> None:
        """Hold what another cache of this length holds, in the memory that is there.

        Raises:
            ConfigurationError: It holds more or fewer positions.
        """
        if cache.length != self.length:
            raise ConfigurationError(f"The cache holds {self.length} positions, and is given {cache.length}.")
        for own, new in zip(self.keys + self.values, cache.keys + cache.values, strict=True):
            own[:, :, : self.length].copy_(new)

    def view(self) -> PrefixCache:
        """The held positions as a cache that grows, in the same memory."""
        return PrefixCache(self.keys, self.values).first(self.length)

    def join(self, layer: int, keys: Tensor, values: Tensor) -> KeysValues:
        """Write behind the held ones and view all of it.

        Raises:
            ConfigurationError: There is no room, the batch is of another size, or gradients are being recorded.
        """
        self._check(keys)
        end = self.length + keys.shape[2]
        self.keys[layer][:, :, self.length : end] = keys
        self.values[layer][:, :, self.length : end] = values
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def extended(self, joined: Sequence[KeysValues]) -> "StaticCache":
        """Hold what was written."""
        return replace(self, length=joined[0][0].shape[2])

    def repeat(self, times: int) -> "StaticCache":
        """Memory of its own for `times` canvases per row: `[B * times, ...]`, those of one row side by side."""
        return StaticCache(
            tuple(k.repeat_interleave(times, dim=0) for k in self.keys),
            tuple(v.repeat_interleave(times, dim=0) for v in self.values),
            self.length,
        )

    def _check(self, keys: Tensor) -> None:
        batch_size, _, capacity, _ = self.keys[0].shape
        if keys.shape[0] != batch_size:
            raise ConfigurationError(f"The cache is for a batch of {batch_size}, got {keys.shape[0]}.")
        if self.length + keys.shape[2] > capacity:
            raise ConfigurationError(
                f"The cache has room for {capacity} positions and holds {self.length}; {keys.shape[2]} more do not fit."
            )
        if keys.requires_grad:
            raise ConfigurationError("A StaticCache is for inference: use torch.no_grad(), or a PrefixCache to train.")
