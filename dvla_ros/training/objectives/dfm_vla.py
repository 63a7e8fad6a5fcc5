"""DFM-VLA: recover the chunk from a point of the probability path that ends in it (arXiv 2603.26320)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.flow import FlowConfig
from dvla_ros.denoising.flow_losses import rate_loss
from dvla_ros.denoising.flow_paths import MixturePath, ProbabilityPath, sample_path, sample_times
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.state import Scores
from dvla_ros.errors import ConfigurationError
from dvla_ros.training.batch import ExampleBatch
from dvla_ros.training.grounding import grounding_counts, grounding_sums
from dvla_ros.training.learner import TokenLearner
from dvla_ros.training.objectives.frozen_rows import frozen_positions, has_row_tokens
from dvla_ros.training.smooth_targets import smooth_targets


@dataclass(frozen=True)
class DfmVlaObjectiveConfig:
    """Weights of the parts of the loss.

    The path itself (embedding, mixture or head; c, alpha) is a setting of the decoder, so that training and decoding
    cannot disagree.

    Attributes:
        draws: Points of the path per observation; the prefix is shared among them.
        rates: Weight of the rate head's loss, where the network has one.
        greatest_weight: kappa' / (1 - kappa) of the rate loss is clipped to this; it diverges at t = 1.
        neighbours: Standard deviation in ids of the target distribution; 0 is one-hot, as published.
        grounding: Weight of finding the sentence's object and goal in the images.
        localising: Weight of telling where these two are.
    """

    draws: int = 2
    rates: float = 0.05
    greatest_weight: float = 20.0
    neighbours: float = 0.0
    grounding: float = 0.15
    localising: float = 2.0

    def __post_init__(self) -> None:
        weights = (self.rates, self.neighbours, self.grounding, self.localising)
        if self.draws < 1 or min(weights) < 0 or self.greatest_weight <= 0:
            raise ConfigurationError(
                f"draws must be 1 or more, weights 0 or more and greatest_weight positive, got {self}."
            )


@dataclass(frozen=True)
class PathExercise:
    """Canvases on their way.

    Attributes:
        batch: The examples.
        counts: See `training.batch.Exercise`.
        tokens: int64 `[B * draws, L]`, the end of the path.
        noisy: Likewise, a point of it.
        time: float `[B * draws]` of that point.
        taught: bool `[B * draws, L]`.
    """

    batch: ExampleBatch
    counts: Mapping[str, Tensor]
    tokens: Tensor
    noisy: Tensor
    time: Tensor
    taught: Tensor


class DfmVlaObjective:
    """x_t ~ p_t(. | x_1) with t ~ U(0, 1); cross-entropy of x_1 on all tokens, and the rate head's loss.

    What was being executed is not taught, see `frozen_rows`.

    Args:
        config: Weights.
        flow: Settings of the path.
        canvas: Of one segment.
        distance: Of the embedding path, `[V, V]`.
    """

    def __init__(self, config: DfmVlaObjectiveConfig, flow: FlowConfig, canvas: Canvas, distance: Tensor) -> None:
        self._config, self._canvas = config, canvas
        self._path: ProbabilityPath = flow.probability_path(canvas.vocabulary, distance)
        self._targets = smooth_targets(canvas.vocabulary, config.neighbours)
        self.weights = {
            "tokens": 1.0,
            "rates": config.rates,
            "grounding": config.grounding,
            "localising": config.localising,
        }

    def exercise(self, batch: ExampleBatch, noise: Noise) -> PathExercise:
        """See `Objective`."""
        draws, canvas = self._config.draws, self._canvas
        assert batch.targets.tokens is not None
        tokens, spread = batch.targets.tokens.repeat_interleave(draws, dim=0), noise.spread(draws)
        time = sample_times(spread)
        frozen = frozen_positions(batch, canvas, rows_are_tokens=has_row_tokens(canvas, batch)).repeat(draws)
        noisy = sample_path(self._path, tokens, time, spread, fixed=frozen.given)
        taught = ~frozen.untaught
        counts = {"tokens": taught.sum(), "rates": taught.sum(), **grounding_counts(batch)}
        return PathExercise(batch, counts, tokens, noisy, time, taught)

    def sums(self, learner: TokenLearner, exercise: PathExercise) -> Mapping[str, Tensor]:
        """See `Objective`."""
        prefix = learner.prefix(exercise.batch, self._config.draws)
        answer = learner.logits(prefix, exercise.noisy)
        scores = answer if isinstance(answer, Scores) else Scores(answer)
        targets = self._targets.to(scores.logits.device)[exercise.tokens]
        cross_entropy = -(targets * torch.log_softmax(scores.logits.float(), dim=-1)).sum(dim=-1)
        sums = {"tokens": (cross_entropy * exercise.taught).sum()}
        if scores.rates is not None:
            sums["rates"] = (self._rate_losses(scores.rates, exercise) * exercise.taught).sum()
        return sums | grounding_sums(learner.percept(prefix), exercise.batch)

    def _rate_losses(self, rates: Tensor, exercise: PathExercise) -> Tensor:
        """Of each position, float `[B * draws, L]`."""
        if not isinstance(self._path, MixturePath):
            raise ConfigurationError("A network with a rate head is trained on the mixture path; set path=head.")
        weight = self._path.hazard(exercise.time).clamp(max=self._config.greatest_weight)
        return rate_loss(rates, exercise.noisy, exercise.tokens, weight.flatten())
