"""Discrete Diffusion VLA: cross-entropy of masked action tokens (arXiv 2508.20072, section 3.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.corruption import mask_for_training
from dvla_ros.denoising.noise import TRAINING, Noise
from dvla_ros.denoising.schedules import schedule_named
from dvla_ros.errors import ConfigurationError
from dvla_ros.training.batch import ExampleBatch
from dvla_ros.training.grounding import grounding_counts, grounding_sums
from dvla_ros.training.learner import TokenLearner
from dvla_ros.training.objectives.expected_value import ExpectedValue
from dvla_ros.training.objectives.frozen_rows import frozen_positions, has_row_tokens, leading_rows, require_share
from dvla_ros.training.smooth_targets import smooth_targets

Average = Literal["canvas", "tokens"]


@dataclass(frozen=True)
class DdVlaObjectiveConfig:
    """Weights of the parts of the loss.

    The published loss is the first part alone with `masks=1`, `neighbours=0` and `average="tokens"`. Its token for the
    end of the sequence, supervised but never masked, and its label shift belong to the language model's layout; the
    small canvas has neither.

    Attributes:
        masks: Differently masked canvases per observation; the prefix is shared among them.
        schedule: Distribution of the mask ratio.
        no_mask_token_prob: Probability that a token which is to be recovered is shown all the same (0 released, under
            this name).
        average: `tokens`, over all masked tokens of the batch (released); `canvas`, over those of each canvas, then
            over the canvases, so that a canvas with few of them counts as much as one with many.
        inpainting: Share of the chunks whose first rows are given, as when they are being executed, see `leading_rows`.
        neighbours: Standard deviation in bins of the target distribution over neighbouring bins; 0 is one-hot.
        expectation: Weight of the L1 between the action and the expectation of the bin centres (DiscreteRTC, 0.1).
        grounding: Weight of finding the sentence's object and goal in the images.
        localising: Weight of telling where these two are, per normalised unit of the state's x, y, z (about 0.12 m).
    """

    masks: int = 2
    schedule: str = "cosine"
    no_mask_token_prob: float = 0.0
    average: Average = "canvas"
    inpainting: float = 0.0
    neighbours: float = 0.8
    expectation: float = 0.1
    grounding: float = 0.15
    localising: float = 2.0

    def __post_init__(self) -> None:
        if self.masks < 1 or min(self.neighbours, self.expectation, self.grounding, self.localising) < 0:
            raise ConfigurationError(f"masks must be 1 or more and weights 0 or more, got {self}.")
        if not 0 <= self.no_mask_token_prob < 1:
            raise ConfigurationError(f"no_mask_token_prob must be in 0..1, below 1, got {self.no_mask_token_prob}.")
        if self.average not in get_args(Average):
            raise ConfigurationError(f"average must be one of {get_args(Average)}, got {self.average!r}.")
        require_share("inpainting", self.inpainting)
        schedule_named(self.schedule)


@dataclass(frozen=True)
class MaskedExercise:
    """Masked canvases.

    Attributes:
        batch: The examples.
        counts: See `training.batch.Exercise`.
        tokens: int64 `[B * masks, L]`, complete.
        canvas: Likewise, masked.
        share: float `[B * masks, L]`, what each token counts in the sums; 0 where it is shown.
    """

    batch: ExampleBatch
    counts: Mapping[str, Tensor]
    tokens: Tensor
    canvas: Tensor
    share: Tensor


class DdVlaObjective:
    """Cross-entropy of masked tokens: ratio cos(pi u / 2), one softmax over the action vocabulary.

    Args:
        config: Weights.
        canvas: Of one segment, a token for each number.
        centres: float `[V]`, the number each token stands for; None where tokens stand for none (FAST).
    """

    def __init__(self, config: DdVlaObjectiveConfig, canvas: Canvas, centres: Tensor | None) -> None:
        self._config, self._canvas = config, canvas
        self._expected = ExpectedValue(config.expectation, centres)
        self._targets = smooth_targets(canvas.vocabulary, config.neighbours)
        self.weights = {
            "tokens": 1.0,
            **self._expected.weights,
            "grounding": config.grounding,
            "localising": config.localising,
        }

    def exercise(self, batch: ExampleBatch, noise: Noise) -> MaskedExercise:
        """See `Objective`."""
        config, mask_token = self._config, self._canvas.mask_token
        assert batch.targets.tokens is not None
        tokens = batch.targets.tokens.repeat_interleave(config.masks, dim=0)
        frozen = frozen_positions(batch, self._canvas, rows_are_tokens=has_row_tokens(self._canvas, batch))
        given = (frozen.given | leading_rows(config.inpainting, self._canvas, batch, noise)).sum(dim=1)
        taught, spread = ~frozen.untaught.repeat_interleave(config.masks, dim=0), noise.spread(config.masks)
        canvas, masked = mask_for_training(
            tokens, mask_token, spread, schedule=config.schedule, frozen_prefix=given.repeat_interleave(config.masks)
        )
        if config.no_mask_token_prob:
            shown = spread.uniform(tokens.shape[1], step=TRAINING, draw=2) < config.no_mask_token_prob
            canvas = torch.where(shown, tokens, canvas)
        share = (masked & taught).float()
        if config.average == "canvas":
            share = share / masked.sum(dim=1, keepdim=True).clamp_min(1)
        count = share.sum()
        counts = {"tokens": count, **self._expected.counts(count), **grounding_counts(batch)}
        return MaskedExercise(batch, counts, tokens, canvas, share)

    def sums(self, learner: TokenLearner, exercise: MaskedExercise) -> Mapping[str, Tensor]:
        """See `Objective`."""
        prefix = learner.prefix(exercise.batch, self._config.masks)
        logits = learner.logits(prefix, exercise.canvas)
        assert isinstance(logits, Tensor)
        log_p = torch.log_softmax(logits.float(), dim=-1)
        cross_entropy = -(self._targets.to(logits.device)[exercise.tokens] * log_p).sum(dim=-1)
        return {
            "tokens": (cross_entropy * exercise.share).sum(),
            **self._expected.sums(log_p, exercise.tokens, exercise.share),
            **grounding_sums(learner.percept(prefix), exercise.batch),
        }
