"""Jacobi decoding: every token again and again from all the others, until nothing changes (CEED-VLA, PD-VLA)."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import FREE, Canvas, WarmStart
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.sampling import probability_of, sample
from dvla_ros.denoising.state import DecodeState, Scores, StepTrace
from dvla_ros.denoising.validation import require
from dvla_ros.denoising.warm_start import usable_guess

Guess = Literal["random", "mask"]

_BEFORE_THE_FIRST = -1
_VALUE_DRAW, _GUESS_DRAW = range(2)


@dataclass(frozen=True)
class JacobiConfig:
    """Settings of `JacobiDenoiser`.

    Attributes:
        num_steps: The most steps. A causal network needs no more than there are free positions and one to see that
            nothing changes; another network may never settle.
        guess: What stands at the start where a warm start guesses nothing: `random` tokens, each position's own
            vocabulary uniformly; `mask`, for a network that was trained to fill it.
        value_temperature: 0 takes the arg-max; else a sample, with the same noise in every step so that it can settle.

    Raises:
        ConfigurationError: A value is out of range.
    """

    num_steps: int = 36
    guess: Guess = "random"
    value_temperature: float = 0.0

    def __post_init__(self) -> None:
        self._require("num_steps", self.num_steps >= 1, "at least 1")
        self._require("guess", self.guess in get_args(Guess), f"one of {get_args(Guess)}")
        self._require("value_temperature", self.value_temperature >= 0, "at least 0")

    def _require(self, name: str, condition: bool, rule: str) -> None:
        require(condition, "Jacobi decoding", name, getattr(self, name), rule)


class JacobiDenoiser:
    """Solve x = argmax p(. | x) by fixed-point iteration.

    Start from a guess of the whole canvas. One step:

    1. p = softmax(logits) of the canvas as it stands.
    2. Every free position becomes the arg-max of p, or of log p + temperature * G with G drawn once.
    3. A chunk in which no token changed has reached its fixed point; it is decided.

    For a causal network the fixed point is what autoregressive decoding gives, usually in fewer steps.
    """

    def __init__(self, config: JacobiConfig) -> None:
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
        """The given tokens, then the warm start's, and the chosen guess where there are none.

        Raises:
            ActionError: `frozen_tokens` or `warm_start` has the wrong shape or an id outside the vocabulary.
        """
        tokens, frozen = canvas.initial(noise.batch_size, frozen_tokens, device)
        warm = usable_guess(canvas, warm_start, frozen)
        tokens = torch.where(warm.tokens != FREE, warm.tokens, tokens)
        if self.config.guess == "random":
            tokens = torch.where(tokens == canvas.mask_token, _random_tokens(canvas, noise, device), tokens)
        num_steps = 0 if bool(frozen.all()) else self.config.num_steps
        return DecodeState(tokens, warm.confidence + frozen, frozen, ~frozen, num_steps)

    def step(self, index: int, state: DecodeState, scores: Scores, noise: Noise) -> tuple[DecodeState, StepTrace]:
        """One iteration; `scores` answer `state.tokens`."""
        log_p = torch.log_softmax(scores.logits.float(), dim=-1)
        values = sample(log_p, self.config.value_temperature, noise, step=_BEFORE_THE_FIRST, draw=_VALUE_DRAW)
        tokens = torch.where(state.undecided, values, state.tokens)
        probability = probability_of(tokens, log_p)
        changed = tokens != state.tokens
        after = replace(
            state,
            tokens=tokens,
            confidence=torch.where(state.undecided, probability, state.confidence),
            undecided=state.undecided & changed.any(dim=-1, keepdim=True),
        )
        shown = probability.masked_fill(state.frozen, 1.0)
        return after, StepTrace(tokens, shown, changed, torch.zeros_like(changed), state.frozen)


def _random_tokens(canvas: Canvas, noise: Noise, device: torch.device) -> Tensor:
    """A uniform id of its own vocabulary for every position, int64 `[B, L]`."""
    sizes = canvas.vocabularies(device)
    uniform = noise.uniform(canvas.length, step=_BEFORE_THE_FIRST, draw=_GUESS_DRAW)
    return torch.minimum((uniform * sizes).long(), sizes - 1)
