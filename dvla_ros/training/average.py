"""The exponential average of the weights that are trained: what is validated and written."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightAverage:
    """Follows the weights with a short memory at first, so that early ones are forgotten.

    Args:
        trained: Parameters by name; on their devices, perhaps sharded.
        decay: Of the average, below 1; 0 is the weights themselves.
    """

    def __init__(self, trained: Mapping[str, nn.Parameter], decay: float) -> None:
        self._trained, self._decay = dict(trained), decay
        self.weights: dict[str, Tensor] = {name: p.detach().clone().float() for name, p in trained.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        decay = min(self._decay, (1.0 + step) / (10.0 + step))
        now = [p.detach().float() for p in self._trained.values()]
        torch._foreach_lerp_(list(self.weights.values()), now, 1.0 - decay)
