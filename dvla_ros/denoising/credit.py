"""Credit decoding: a token that stays likely from step to step counts as surer than one step alone says (dInfer)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas, WarmStart
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.state import Scores, StepTrace
from dvla_ros.denoising.threshold import ThresholdConfig, ThresholdDenoiser, ThresholdState


@dataclass(frozen=True)
class CreditConfig(ThresholdConfig):
    """Settings of `CreditDenoiser`: those of acceptance decoding, and how credit is given.

    Attributes:
        decay: Share of its credit that a token keeps from one step to the next.
        weight: Of the credit, as w log(credit + 1) on the logit; 0 is acceptance decoding without credit.
        power: A likeliest token of probability p earns p^power; below 1 the low confidences of the first steps count
            for more. This number is ours.

    Raises:
        ConfigurationError: A value is out of range.
    """

    decay: float = 0.8
    weight: float = 0.7
    power: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("decay", 0 <= self.decay <= 1, "in 0..1")
        for name in ("weight", "power"):
            self._require(name, getattr(self, name) >= 0, "at least 0")


@dataclass(frozen=True)
class CreditState(ThresholdState):
    """A canvas in credit decoding.

    Attributes:
        credit: float32 `[B, L, V]`, what each token has earned so far.
    """

    credit: Tensor


class CreditDenoiser:
    """Acceptance decoding of logits that remember (arXiv 2510.06133; dInfer, arXiv 2510.08666).

    One denoising step:

    1. The credit of every token of every position decays; the likeliest one earns its probability.
    2. w log(credit + 1) is added to the logits.
    3. What these make sure enough is committed, see `ThresholdDenoiser`; confidences are theirs too.

    A token that was the likeliest several times is accepted earlier; one that flickers is not.
    """

    def __init__(self, config: CreditConfig) -> None:
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
    ) -> CreditState:
        """As `ThresholdDenoiser.start`; no token has credit yet."""
        state = self._acceptance.start(
            canvas, noise=noise, frozen_tokens=frozen_tokens, warm_start=warm_start, device=device
        )
        credit = torch.zeros(*state.tokens.shape, canvas.vocabulary, device=device)
        return CreditState(**vars(state), credit=credit)

    def step(self, index: int, state: CreditState, scores: Scores, noise: Noise) -> tuple[CreditState, StepTrace]:
        """One denoising step; `scores` answer `state.tokens`."""
        logits = scores.logits.float()
        best, token = torch.softmax(logits, dim=-1).max(dim=-1, keepdim=True)
        credit = (self.config.decay * state.credit).scatter_add(-1, token, best.pow(self.config.power))
        boosted = logits + self.config.weight * torch.log1p(credit)
        return self._acceptance.step(index, replace(state, credit=credit), Scores(boosted), noise)
