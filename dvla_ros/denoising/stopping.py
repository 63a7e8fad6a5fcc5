"""Stable-and-confident stopping: what is left is committed once it no longer changes and is sure (DiffusionGemma)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas, WarmStart
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.sampling import entropy
from dvla_ros.denoising.state import Scores, StepTrace
from dvla_ros.denoising.threshold import ThresholdConfig, ThresholdDenoiser, ThresholdState


@dataclass(frozen=True)
class StoppingConfig(ThresholdConfig):
    """Settings of `StoppingDenoiser`: those of acceptance decoding, and when it stops.

    Attributes:
        patience: k, steps in a row in which no arg-max may change.
        stop_entropy: In nats; the mean over the masked positions must be below this. For words 0.005 is in use; the
            bins of a movement are never that sure, since neighbours share its probability.

    Raises:
        ConfigurationError: A value is out of range.
    """

    patience: int = 1
    stop_entropy: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("patience", self.patience >= 1, "at least 1")
        self._require("stop_entropy", self.stop_entropy >= 0, "at least 0")


@dataclass(frozen=True)
class StoppingState(ThresholdState):
    """A canvas that may be finished before its time.

    Attributes:
        likeliest: int64 `[B, L]`, the tokens held after the step before, where masked its arg-max; MASK before the
            first.
        repeats: int64 `[B, 1]`, for how many steps in a row these have stayed the same.
    """

    likeliest: Tensor
    repeats: Tensor


class StoppingDenoiser:
    """Acceptance decoding that gives every masked position its token once waiting promises nothing more.

    One denoising step:

    1. Count for how many steps the arg-max of no masked position has changed, though others were committed.
    2. Where that are k or more, and the mean entropy of the masked positions is below the bound, commit them all.
    3. Elsewhere commit what is sure enough, see `ThresholdDenoiser`.
    """

    def __init__(self, config: StoppingConfig) -> None:
        self.config = config
        self._acceptance = ThresholdDenoiser(config)

    def start(
        self,
        canvas: Canvas,
        *,
        noise: Noise,
        frozen_tokens: Tensor | None,
        warm_start: WarmStart | None,
        device: torch.device,
    ) -> StoppingState:
        """As `ThresholdDenoiser.start`; nothing has been the likeliest yet."""
        state = self._acceptance.start(
            canvas, noise=noise, frozen_tokens=frozen_tokens, warm_start=warm_start, device=device
        )
        repeats = torch.zeros(len(state.tokens), 1, dtype=torch.int64, device=device)
        return StoppingState(**vars(state), likeliest=state.tokens, repeats=repeats)

    def step(self, index: int, state: StoppingState, scores: Scores, noise: Noise) -> tuple[StoppingState, StepTrace]:
        """One denoising step; `scores` answer `state.tokens`."""
        masked = state.undecided
        log_p = torch.log_softmax(scores.logits.float(), dim=-1)
        best = log_p.argmax(dim=-1)
        same = (torch.where(masked, best, state.tokens) == state.likeliest).all(dim=-1, keepdim=True)
        repeats = torch.where(same, state.repeats + 1, 0)
        stops = (repeats >= self.config.patience) & (_mean_entropy(log_p, masked) < self.config.stop_entropy)

        # From here on at least everything is committed.
        told = replace(state, at_least=state.at_least.masked_fill(stops, masked.shape[-1]), repeats=repeats)
        after, trace = self._acceptance.step(index, told, scores, noise)
        return replace(after, likeliest=torch.where(after.undecided, best, after.tokens)), trace


def _mean_entropy(log_p: Tensor, masked: Tensor) -> Tensor:
    """Over the masked positions of each row, float `[B, 1]`; 0 where there are none."""
    total = (entropy(log_p) * masked).sum(dim=-1, keepdim=True)
    return total / masked.sum(dim=-1, keepdim=True).clamp_min(1)
