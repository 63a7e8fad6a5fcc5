"""dLLM-Cache as a run: when the prompt and when the canvas is computed anew (arXiv 2506.06295)."""

from collections.abc import Hashable

import torch
from torch import Tensor

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.engine.dllm_memory import DllmMemory, Refresh
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.engine.step_memory import StepMemory
from dvla_ros.models.key_value_cache import PrefixCache
from dvla_ros.models.trunk import Trunk


class DllmRun:
    """A `SequenceRun` that is approximate between the intervals of its plan; for inference only.

    Args:
        trunk: With its weights.
        settled: Of the settled positions.
        rest: `[1 or B, M, W]`, what stands between these and the canvas.
        plan: Intervals and ratio.
        graphs: Where the steps are captured; None to run them as they are.
    """

    def __init__(
        self, trunk: Trunk, settled: PrefixCache, rest: Tensor, plan: CachePlan, graphs: StepGraphs | None = None
    ) -> None:
        self._trunk, self._settled, self._rest, self._plan, self._graphs = trunk, settled, rest, plan, graphs
        self._memory: DllmMemory | None = None
        self._steps = 0

    def hidden(self, canvas: Tensor, mask: Tensor | None = None) -> Tensor:
        """See `SequenceRun`; the steps before must have been of the same canvases."""
        if self._graphs is not None and not self._graphs.holds(self, canvas):
            self._steps = 0  # another run has overwritten what was remembered
        kind = self._refresh()
        self._steps += 1
        with torch.no_grad():  # memory that is written in place has no gradients
            if self._graphs is not None:
                return self._graphs.step(self, kind, canvas, mask)
            if self._memory is None:
                self._memory = self.set_aside(canvas)
            return self._memory.step(kind, canvas, mask)

    def shape(self, canvas: Tensor) -> Hashable:
        """See `GraphedRun`."""
        return self._trunk.place(), self._settled.length, self._rest.shape, self._plan.ratio

    def set_aside(self, canvas: Tensor) -> DllmMemory:
        """See `GraphedRun`."""
        return DllmMemory(self._trunk, self._settled, self._rest, canvas, self._plan.ratio)

    def load_into(self, memory: StepMemory) -> None:
        """See `GraphedRun`."""
        memory.load(self._settled, self._rest)

    def _refresh(self) -> Refresh:
        """What this step computes anew."""
        prompt = self._rest.shape[1] > 0 and self._steps % self._plan.prompt_interval == 0
        return Refresh(prompt, self._steps % self._plan.canvas_interval == 0)
