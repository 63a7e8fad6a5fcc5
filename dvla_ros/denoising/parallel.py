"""One-shot parallel decoding: the baseline that makes every token independent of the others."""

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
class OneShotConfig:
    """Settings of `OneShotDenoiser`.

    Attributes:
        value_temperature: 0 takes the arg-max.
        warm_keep: Share of a warm start's guesses that is kept, the most confident ones.

    Raises:
        ConfigurationError: A value is out of range.
    """

    value_temperature: float = 0.0
    warm_keep: float = 0.5

    def __post_init__(self) -> None:
        self._require("value_temperature", self.value_temperature >= 0, "at least 0")
        self._require("warm_keep", 0 <= self.warm_keep <= 1, "in 0..1")

    def _require(self, name: str, condition: bool, rule: str) -> None:
        require(condition, "One-shot decoding", name, getattr(self, name), rule)


class OneShotDenoiser:
    """Everything at once, from one network call.

    1. p = softmax(logits) of the masked canvas.
    2. Every masked position takes the arg-max or a sample of its own p, whatever the others take.
    """

    def __init__(self, config: OneShotConfig) -> None:
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
        num_steps = int(begin.masked.any())
        return DecodeState(begin.tokens, begin.confidence, begin.frozen, begin.masked, num_steps)

    def step(self, index: int, state: DecodeState, scores: Scores, noise: Noise) -> tuple[DecodeState, StepTrace]:
        """The one step; `scores` answer `state.tokens`."""
        log_p = torch.log_softmax(scores.logits.float(), dim=-1)
        values = sample(log_p, self.config.value_temperature, noise, step=index)
        proposal = torch.where(state.undecided, values, state.tokens)
        return commit(state, state.undecided, proposal, probability_of(proposal, log_p))
