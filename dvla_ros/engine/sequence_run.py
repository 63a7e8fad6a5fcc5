"""What stands before the canvas, ready for the canvases behind it: which positions a denoising step runs.

A network computes the keys and values of its settled positions, those that see nothing behind them, and calls
`open_run` once per observation; in every step it embeds the canvas and asks for `hidden`.
"""

from collections.abc import Hashable
from typing import Protocol

import torch
from torch import Tensor

from dvla_ros.engine.cache_plan import EXACT, CachePlan
from dvla_ros.engine.dllm_run import DllmRun
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.engine.step_memory import CanvasMemory, StepMemory, WholeMemory, for_batch, run_whole
from dvla_ros.models.key_value_cache import PrefixCache
from dvla_ros.models.trunk import Trunk


class SequenceRun(Protocol):
    """An observation as one run of the decoder sees it; a step may remember for the next."""

    def hidden(self, canvas: Tensor, mask: Tensor | None = None) -> Tensor:
        """Last hidden states of one denoising step.

        Args:
            canvas: `[B, R, W]`, embeddings of what stands behind the prefix.
            mask: bool `[M, S]` or `[B, M, S]`, True where a query sees a key: the rows of all positions that are not
                settled, or of the last of them, see `Trunk`; None where all of them see everything.

        Returns:
            `[B, R, W]`.
        """
        ...


def open_run(
    trunk: Trunk, settled: PrefixCache, rest: Tensor, plan: CachePlan = EXACT, graphs: StepGraphs | None = None
) -> SequenceRun:
    """Begin with an observation.

    Args:
        trunk: With its weights.
        settled: Keys and values of the leading positions, for one observation; empty where all see the canvas.
        rest: `[1, M, W]`, embeddings of what stands between these and the canvas and sees it; M may be 0.
        plan: What is kept from step to step.
        graphs: Where the steps are captured; None to run them as they are. Steps that record gradients always do.
    """
    if plan.name == "dllm":
        return DllmRun(trunk, settled, rest, plan, graphs)
    if rest.shape[1] == 0:
        return SettledPrefix(trunk, settled, graphs)
    if plan.name == "exact":
        return WholeSequence(trunk, settled, rest, graphs)
    return ReusedPrefix(trunk, settled, rest, graphs)


class SettledPrefix:
    """A prefix that sees nothing of the canvas: a step runs the canvas alone, and that is exact."""

    def __init__(self, trunk: Trunk, settled: PrefixCache, graphs: StepGraphs | None = None) -> None:
        self._trunk, self._settled, self._graphs = trunk, settled, graphs
        self._memory: CanvasMemory | None = None
        self._canvas_shape: torch.Size | None = None

    def hidden(self, canvas: Tensor, mask: Tensor | None = None) -> Tensor:
        """See `SequenceRun`."""
        if torch.is_grad_enabled() or not self._settled.keys:
            return self._trunk.decode(canvas, for_batch(self._settled, len(canvas)), mask)
        if self._graphs is not None:
            return self._graphs.step(self, None, canvas, mask)
        if self._memory is None or self._canvas_shape != canvas.shape:
            self._memory, self._canvas_shape = self.set_aside(canvas), canvas.shape
        return self._memory.step(None, canvas, mask)

    def shape(self, canvas: Tensor) -> Hashable:
        """See `GraphedRun`."""
        return self._trunk.place(), self._settled.length

    def set_aside(self, canvas: Tensor) -> CanvasMemory:
        """See `GraphedRun`."""
        return CanvasMemory(self._trunk, self._settled, canvas)

    def load_into(self, memory: StepMemory) -> None:
        """See `GraphedRun`."""
        memory.load(self._settled, self._settled.keys[0][:, :0])


class WholeSequence:
    """Everything that the canvas may change runs in every step; of the last layer only what the canvas asks for."""

    def __init__(self, trunk: Trunk, settled: PrefixCache, rest: Tensor, graphs: StepGraphs | None = None) -> None:
        self._trunk, self._settled, self._rest, self._graphs = trunk, settled, rest, graphs

    def hidden(self, canvas: Tensor, mask: Tensor | None = None) -> Tensor:
        """See `SequenceRun`."""
        if self._graphs is not None and not torch.is_grad_enabled():
            return self._graphs.step(self, None, canvas, mask)
        return run_whole(self._trunk, for_batch(self._settled, len(canvas)), self._rest, canvas, mask)

    def shape(self, canvas: Tensor) -> Hashable:
        """See `GraphedRun`."""
        return self._trunk.place(), self._settled.length, self._rest.shape

    def set_aside(self, canvas: Tensor) -> WholeMemory:
        """See `GraphedRun`."""
        return WholeMemory(self._trunk, self._settled, self._rest, len(canvas))

    def load_into(self, memory: StepMemory) -> None:
        """See `GraphedRun`."""
        memory.load(self._settled, self._rest)


class ReusedPrefix:
    """The first step runs everything; later ones run the canvas against what the prefix was then."""

    def __init__(self, trunk: Trunk, settled: PrefixCache, rest: Tensor, graphs: StepGraphs | None = None) -> None:
        self._trunk, self._settled, self._rest, self._graphs = trunk, settled, rest, graphs
        self._reused: SettledPrefix | None = None

    def hidden(self, canvas: Tensor, mask: Tensor | None = None) -> Tensor:
        """See `SequenceRun`; the steps before must have been of the same canvases."""
        between = self._rest.shape[1]
        if self._reused is not None:
            return self._reused.hidden(canvas, None if mask is None else mask[..., -canvas.shape[1] :, :])
        x = torch.cat([self._rest.expand(len(canvas), -1, -1), canvas], dim=1)
        settled = for_batch(self._settled, len(canvas))
        hidden, everything = self._trunk.extend(x, settled, mask)
        self._reused = SettledPrefix(self._trunk, everything.first(settled.length + between), self._graphs)
        return hidden[:, between:]
