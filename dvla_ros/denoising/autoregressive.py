"""Autoregressive decoding: one token after the other, in the order of the canvas."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas, WarmStart
from dvla_ros.denoising.commit import commit
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.sampling import probability_of, sample
from dvla_ros.denoising.state import DecodeState, Scores, StepTrace
from dvla_ros.denoising.validation import require
from dvla_ros.denoising.warm_start import starting_canvas


@dataclass(frozen=True)
class AutoregressiveConfig:
    """Settings of `AutoregressiveDenoiser`.

    Attributes:
        tokens_per_step: How many positions each step settles; more than 1 makes those independent of each other.
        value_temperature: 0 takes the arg-max.
        warm_keep: Share of a warm start's guesses that is kept, the most confident ones.

    Raises:
        ConfigurationError: A value is out of range.
    """

    tokens_per_step: int = 1
    value_temperature: float = 0.0
    warm_keep: float = 0.5

    def __post_init__(self) -> None:
        self._require("tokens_per_step", self.tokens_per_step >= 1, "at least 1")
        self._require("value_temperature", self.value_temperature >= 0, "at least 0")
        self._require("warm_keep", 0 <= self.warm_keep <= 1, "in 0..1")

    def _require(self, name: str, condition: bool, rule: str) -> None:
        require(condition, "Autoregressive decoding", name, getattr(self, name), rule)


class AutoregressiveDenoiser:
    """The leftmost masked position takes its token, then the next; the network sees MASK to the right.

    One step:

    1. p = softmax(logits) at the leftmost `tokens_per_step` positions that are still masked.
    2. They take the arg-max or a sample of p, for good.

    Given and guessed tokens are seen wherever they stand, also to the right of the position being filled.
    """

    def __init__(self, config: AutoregressiveConfig) -> None:
        self.config = config

    def start(
        self,
        canvas: Canvas,
        *,
        noise: Noise,
        frozen_tokens: Tensor | None,
        warm_start: WarmStart | None,
        device: torch.device,
    ) -> DecodeState:
        """Everything masked but the given and the surest guessed positions.

        Raises:
            ActionError: `frozen_tokens` or `warm_start` has the wrong shape or an id outside the vocabulary.
        """
        begin = starting_canvas(
            canvas,
            batch_size=noise.batch_size,
            frozen_tokens=frozen_tokens,
            warm_start=warm_start,
            keep=self.config.warm_keep,
            device=device,
        )
        num_steps = math.ceil(int(begin.masked.sum(dim=-1).max()) / self.config.tokens_per_step)
        return DecodeState(begin.tokens, begin.confidence, begin.frozen, begin.masked, num_steps)

    def step(self, index: int, state: DecodeState, scores: Scores, noise: Noise) -> tuple[DecodeState, StepTrace]:
        """One step; `scores` answer `state.tokens`."""
        log_p = torch.log_softmax(scores.logits.float(), dim=-1)
        values = sample(log_p, self.config.value_temperature, noise, step=index)
        proposal = torch.where(state.undecided, values, state.tokens)
        place = state.undecided.cumsum(dim=-1)
        chosen = state.undecided & (place <= self.config.tokens_per_step)
        return commit(state, chosen, proposal, probability_of(proposal, log_p))
