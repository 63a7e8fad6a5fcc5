"""The baseline: every denoising step runs the whole sequence and the whole head, nothing is kept, nothing is captured.

This is how the released code of these systems decodes. The head is applied to the canvas only, where the released code
applies it to every position, so that the comparison is to the baseline's advantage.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.state import Scores
from dvla_ros.engine.cache_plan import EXACT, CachePlan
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.evaluation.decode.looked_at import LookedAt, language_of, look_at, trunk_of, whole_mask
from dvla_ros.models.head import SlicedHead, TokenRows
from dvla_ros.models.trunk import Trunk
from dvla_ros.policies.token_network import TokenNetwork


class WholeForward:
    """A `SequenceRun` that keeps nothing.

    Args:
        trunk: With its weights.
        seen: What stands before the canvas.
    """

    def __init__(self, trunk: Trunk, seen: LookedAt) -> None:
        self._trunk, self._seen = trunk, seen

    def hidden(self, canvas: Tensor, mask: Tensor | None = None) -> Tensor:
        """See `SequenceRun`."""
        x = torch.cat([self._seen.embedded.expand(len(canvas), -1, -1), canvas], dim=1)
        everything: Tensor = self._trunk(x, whole_mask(self._seen, mask))
        return everything[:, -canvas.shape[1] :]


class WholeHead(nn.Module):
    """A head that multiplies by all of its rows, and then takes those that are asked for."""

    def __init__(self, head: SlicedHead) -> None:
        super().__init__()
        self.weight, self.bias = head.weight, head.bias

    def forward(self, hidden: Tensor, rows: TokenRows) -> Tensor:
        """See `SlicedHead`."""
        everything = functional.linear(hidden, self.weight, self.bias)
        return torch.cat([everything[..., run] for run in rows.runs], dim=-1)


class PublishedWay:
    """A `TokenNetwork` around another: the same logits, computed as the released code does.

    Attributes:
        cache: `exact`; another choice has no effect.
        graphs: Likewise: nothing is captured.

    Args:
        network: With its weights.
    """

    def __init__(self, network: Any) -> None:
        self.network: TokenNetwork = network
        self.cache: CachePlan = EXACT
        self.graphs: StepGraphs | None = None
        self._trunk, self._language = trunk_of(network.model), language_of(network.model)
        self._head = None if self._language is None else WholeHead(self._language.lm_head)

    @property
    def canvas(self) -> Canvas:
        """See `TokenNetwork`."""
        return self.network.canvas

    def prepare(self, observation: Observation) -> Any:
        """See `TokenNetwork`."""
        return self.network.prepare(observation)

    def prefill(self, inputs: Any, frozen: np.ndarray) -> Any:
        """See `TokenNetwork`. The keys and values that the network computes here are not used."""
        self.network.cache = EXACT
        context = self.network.prefill(inputs, frozen)
        return replace(context, run=WholeForward(self._trunk, look_at(self.network, context)))

    def logits(self, context: Any, tokens: Tensor) -> Tensor | Scores:
        """See `TokenNetwork`."""
        if self._language is None or self._head is None:
            return self.network.logits(context, tokens)
        sliced = self._language.lm_head
        self._language.lm_head = self._head  # type: ignore[assignment]  # for this call
        try:
            return self.network.logits(context, tokens)
        finally:
            self._language.lm_head = sliced

    def token_table(self) -> Tensor:
        """See `TokenNetwork`."""
        return self.network.token_table()

    def imagined(self, context: Any, tokens: np.ndarray) -> Mapping[str, np.ndarray]:
        """See `TokenNetwork`."""
        return self.network.imagined(context, tokens)

    def keypoints(self, context: Any, row: int = 0) -> Mapping[str, np.ndarray]:
        """See `TokenNetwork`."""
        return self.network.keypoints(context, row)
