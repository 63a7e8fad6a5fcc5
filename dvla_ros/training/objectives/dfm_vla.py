"""DFM-VLA: recover the chunk from a point of the probability path that ends in it (arXiv 2603.26320)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.denoising.flow import FlowConfig
from dvla_ros.denoising.flow_losses import rate_loss
from dvla_ros.denoising.flow_paths import MixturePath, ProbabilityPath, sample_path, sample_times
from dvla_ros.denoising.state import Scores
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.training.batch import Batch, Losses
from dvla_ros.training.grounding import with_grounding
from dvla_ros.training.objectives.frozen_rows import frozen_positions, has_row_tokens, mean_where
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


class DfmVlaObjective:
    """x_t ~ p_t(. | x_1) with t ~ U(0, 1); cross-entropy of x_1 on all tokens, and the rate head's loss.

    What was being executed is not taught, see `frozen_rows`.

    Args:
        config: Weights.
        flow: Settings of the path.
        vocabulary: V of the canvas.
        distance: Of the embedding path, `[V, V]`.
    """

    def __init__(self, config: DfmVlaObjectiveConfig, flow: FlowConfig, vocabulary: int, distance: Tensor) -> None:
        self._config = config
        self._path: ProbabilityPath = flow.probability_path(vocabulary, distance)
        self._targets = smooth_targets(vocabulary, config.neighbours)

    def __call__(self, model: SmallVla, batch: Batch, generator: torch.Generator) -> Losses:
        """All losses of one batch."""
        config = self._config
        assert batch.targets.tokens is not None
        prefix = model.prefill(batch.images, batch.text, batch.state)
        tokens = batch.targets.tokens.repeat_interleave(config.draws, dim=0)
        time = sample_times(len(tokens), generator, tokens.device)
        canvas = model.config.canvas
        frozen = frozen_positions(batch, canvas, rows_are_tokens=has_row_tokens(canvas, batch)).repeat(config.draws)
        noisy = sample_path(self._path, tokens, time, generator, fixed=frozen.given)
        answer = model.logits(prefix.repeat(config.draws), noisy)
        scores = answer if isinstance(answer, Scores) else Scores(answer)
        log_p = torch.log_softmax(scores.logits, dim=-1)
        cross_entropy = mean_where(-(self._targets[tokens] * log_p).sum(dim=-1), ~frozen.untaught)
        total, parts = cross_entropy, {"tokens": cross_entropy}
        if scores.rates is not None:
            rates = mean_where(self._rate_losses(scores.rates, noisy, tokens, time), ~frozen.untaught)
            total, parts = total + config.rates * rates, {**parts, "rates": rates}
        losses = Losses(total, parts)
        return with_grounding(losses, prefix.percept, batch, config.grounding, config.localising)

    def _rate_losses(self, rates: Tensor, noisy: Tensor, tokens: Tensor, time: Tensor) -> Tensor:
        """Of each position, float `[B, L]`."""
        if not isinstance(self._path, MixturePath):
            raise ConfigurationError("A network with a rate head is trained on the mixture path; set path=head.")
        weight = self._path.hazard(time).clamp(max=self._config.greatest_weight)
        return rate_loss(rates, noisy, tokens, weight.flatten())
