"""How far the mean of what a network believes is from the action: an L1 beside the cross-entropy of tokens."""

from collections.abc import Mapping

import torch
from torch import Tensor

from dvla_ros.errors import ConfigurationError


class ExpectedValue:
    """L1 between the action and the expectation of the numbers that tokens stand for (DiscreteRTC, arXiv 2604.25050).

    A loss that is left out (`weight` 0) is not computed: no weight, count and sum bears its name.

    Args:
        weight: Of the loss.
        centres: float `[V]`, the number each token stands for; None where tokens stand for none.

    Raises:
        ConfigurationError: It is wanted of tokens that stand for no number.
    """

    NAME = "expectation"

    def __init__(self, weight: float, centres: Tensor | None) -> None:
        if weight > 0 and centres is None:
            raise ConfigurationError(
                "expectation needs tokens that stand for a number each, and FAST tokens do not: set expectation=0."
            )
        self._centres = centres if weight > 0 else None
        self.weights: Mapping[str, float] = {self.NAME: weight} if weight > 0 else {}

    def counts(self, count: Tensor) -> Mapping[str, Tensor]:
        """What the sum is divided by."""
        return {} if self._centres is None else {self.NAME: count}

    def sums(self, log_p: Tensor, tokens: Tensor, share: Tensor) -> Mapping[str, Tensor]:
        """The sum over tokens.

        Args:
            log_p: float32 `[B, L, V]`.
            tokens: int64 `[B, L]`, the right ones.
            share: float `[B, L]`, what each counts.
        """
        if self._centres is None:
            return {}
        centres = self._centres.to(log_p.device)
        error = (torch.exp(log_p) @ centres - centres[tokens]).abs()
        return {self.NAME: (error * share).sum()}
