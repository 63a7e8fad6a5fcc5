"""What a denoising step works on, in memory that stays where it is: the next observation is copied into the same place.

So a step can be captured once in a CUDA graph, which replays addresses, and run for every observation of its shape.
"""

from collections.abc import Hashable
from typing import Protocol

import torch
from torch import Tensor

from dvla_ros.models.key_value_cache import PrefixCache, StaticCache
from dvla_ros.models.trunk import Trunk


class StepMemory(Protocol):
    """An observation and what its steps remember; all of it in tensors that are never replaced."""

    def load(self, settled: PrefixCache, rest: Tensor) -> None:
        """Take over an observation of the shapes that the memory was made for, see `open_run`.

        Args:
            settled: Of one row, or of as many as the memory has.
            rest: `[1 or B, M, W]`.
        """
        ...

    def step(self, kind: Hashable, canvas: Tensor, mask: Tensor | None) -> Tensor:
        """Run a denoising step; see `SequenceRun.hidden`. Steps of one kind run the same kernels."""
        ...


class CanvasMemory:
    """For steps that run the canvas alone: keys and values of a prefix, with room for those of the canvas.

    Args:
        trunk: With its weights.
        settled: Of the prefix, of one row or of all.
        canvas: `[B, R, W]`, an example.
    """

    def __init__(self, trunk: Trunk, settled: PrefixCache, canvas: Tensor) -> None:
        self._trunk = trunk
        self._cache = StaticCache.holding(for_batch(settled, len(canvas)), canvas.shape[1])

    def load(self, settled: PrefixCache, rest: Tensor) -> None:
        """See `StepMemory`."""
        self._cache.take(settled)

    def step(self, kind: Hashable, canvas: Tensor, mask: Tensor | None) -> Tensor:
        """See `StepMemory`."""
        return self._trunk.decode(canvas, self._cache, mask)


class WholeMemory:
    """For steps that run everything but the settled positions.

    Args:
        trunk: With its weights.
        settled: Keys and values of the settled positions, of one row or of all; may be empty.
        rest: `[1 or B, M, W]`, what stands between these and the canvas.
        batch_size: Canvases, B.
    """

    def __init__(self, trunk: Trunk, settled: PrefixCache, rest: Tensor, batch_size: int) -> None:
        self._trunk = trunk
        self._settled = StaticCache.holding(for_batch(settled, batch_size), 0) if settled.keys else None
        self._rest = rest.clone()

    def load(self, settled: PrefixCache, rest: Tensor) -> None:
        """See `StepMemory`."""
        self._rest.copy_(rest)
        if self._settled is not None:
            self._settled.take(settled)

    def step(self, kind: Hashable, canvas: Tensor, mask: Tensor | None) -> Tensor:
        """See `StepMemory`."""
        settled = PrefixCache() if self._settled is None else self._settled.view()
        return run_whole(self._trunk, settled, self._rest, canvas, mask)


def run_whole(trunk: Trunk, settled: PrefixCache, rest: Tensor, canvas: Tensor, mask: Tensor | None) -> Tensor:
    """`[B, R, W]`: everything but the settled positions runs, in the last layer only what the canvas asks for."""
    x = torch.cat([rest.expand(len(canvas), -1, -1), canvas], dim=1)
    return trunk.decode_last(x, canvas.shape[1], settled, mask)


def for_batch(cache: PrefixCache, batch_size: int) -> PrefixCache:
    """The cache of one observation for several canvases; one of several already stays as it is."""
    held = len(cache.keys[0]) if cache.keys else batch_size
    return cache if held == batch_size else cache.repeat(batch_size)
