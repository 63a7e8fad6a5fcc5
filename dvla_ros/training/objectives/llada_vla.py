"""LLaDA-VLA: localised special-token classification (arXiv 2509.06932, section 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.corruption import mask_independently
from dvla_ros.denoising.noise import Noise
from dvla_ros.errors import ConfigurationError
from dvla_ros.training.batch import ExampleBatch
from dvla_ros.training.grounding import grounding_counts, grounding_sums
from dvla_ros.training.learner import TokenLearner
from dvla_ros.training.objectives.expected_value import ExpectedValue
from dvla_ros.training.objectives.frozen_rows import frozen_positions, has_row_tokens, leading_rows, require_share
from dvla_ros.training.smooth_targets import smooth_targets


@dataclass(frozen=True)
class LladaVlaObjectiveConfig:
    """Weights of the parts of the loss.

    Attributes:
        masks: Differently masked canvases per observation; the prefix is shared among them.
        weight: `none` (LLaDA-VLA), or `inverse_time`: 1/t, the generic LLaDA loss.
        inpainting: Share of the chunks whose first rows are given, as when they are being executed, see `leading_rows`.
        neighbours: Standard deviation in intervals of the target distribution; 0 is one-hot, as published.
        expectation: Weight of the L1 between the action and the expectation of the intervals' centres (DiscreteRTC).
        grounding: Weight of finding the sentence's object and goal in the images.
        localising: Weight of telling where these two are.
    """

    masks: int = 2
    weight: str = "none"
    inpainting: float = 0.0
    neighbours: float = 0.0
    expectation: float = 0.0
    grounding: float = 0.15
    localising: float = 2.0

    def __post_init__(self) -> None:
        if self.masks < 1 or min(self.neighbours, self.expectation, self.grounding, self.localising) < 0:
            raise ConfigurationError(f"masks must be 1 or more and weights 0 or more, got {self}.")
        require_share("inpainting", self.inpainting)
        if self.weight not in ("none", "inverse_time"):
            raise ConfigurationError(f"weight must be none or inverse_time, got {self.weight!r}.")


@dataclass(frozen=True)
class MaskedExercise:
    """Masked canvases.

    Attributes:
        batch: The examples.
        counts: See `training.batch.Exercise`.
        tokens: int64 `[B * masks, L]`, complete.
        canvas: Likewise, masked.
        share: float `[B * masks, L]`, what each token counts in the sum; 0 where it is shown or not taught.
    """

    batch: ExampleBatch
    counts: Mapping[str, Tensor]
    tokens: Tensor
    canvas: Tensor
    share: Tensor


class LladaVlaObjective:
    """t ~ U(0, 1), each token masked with probability t; cross-entropy over the special tokens alone, no shift.

    Rows that were being executed are given and not taught, see `frozen_rows`.

    Args:
        config: Weights.
        canvas: Of one segment.
        centres: float `[V]`, the number each token stands for; None where tokens stand for none (FAST).
    """

    def __init__(self, config: LladaVlaObjectiveConfig, canvas: Canvas, centres: Tensor | None = None) -> None:
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
        config, canvas = self._config, self._canvas
        assert batch.targets.tokens is not None
        tokens = batch.targets.tokens.repeat_interleave(config.masks, dim=0)
        frozen = frozen_positions(batch, canvas, rows_are_tokens=has_row_tokens(canvas, batch))
        given = frozen.given | leading_rows(config.inpainting, canvas, batch, noise)
        given, taught = (part.repeat_interleave(config.masks, dim=0) for part in (given, ~frozen.untaught))
        spread = noise.spread(config.masks)
        noisy, masked, ratio = mask_independently(tokens, canvas.mask_token, spread, fixed=given)
        if config.weight == "inverse_time":
            share, count = (masked & taught) / ratio, (taught & ~given).sum()
        else:
            share = (masked & taught).float()
            count = share.sum()
        counts = {"tokens": count, **self._expected.counts(count), **grounding_counts(batch)}
        return MaskedExercise(batch, counts, tokens, noisy, share)

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
