"""Discrete Diffusion VLA: cross-entropy of masked action tokens (arXiv 2508.20072, section 3.3)."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.corruption import mask_for_training
from dvla_ros.denoising.schedules import schedule_named
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.training.batch import Batch, Losses
from dvla_ros.training.grounding import with_grounding
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
        neighbours: Standard deviation in bins of the target distribution over neighbouring bins; 0 is one-hot.
        expectation: Weight of the L1 between the action and the expectation of the bin centres (DiscreteRTC, 0.1).
        grounding: Weight of finding the sentence's object and goal in the images.
        localising: Weight of telling where these two are, per normalised unit of the state's x, y, z (about 0.12 m).
    """

    masks: int = 2
    schedule: str = "cosine"
    no_mask_token_prob: float = 0.0
    average: Average = "canvas"
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
        schedule_named(self.schedule)


class DdVlaObjective:
    """Cross-entropy of masked tokens: ratio cos(pi u / 2), one softmax over the action vocabulary.

    Args:
        config: Weights.
        centres: float `[V]`, the number each token stands for.
    """

    def __init__(self, config: DdVlaObjectiveConfig, centres: Tensor) -> None:
        self._config = config
        self._centres = centres
        self._targets = smooth_targets(len(centres), config.neighbours)

    def __call__(self, model: SmallVla, batch: Batch, generator: torch.Generator) -> Losses:
        """All losses of one batch."""
        config = self._config
        assert batch.targets.tokens is not None
        prefix = model.prefill(batch.images, batch.text, batch.state, moved=batch.moved)
        tokens = batch.targets.tokens.repeat_interleave(config.masks, dim=0)
        canvas, masked = mask_for_training(
            tokens,
            model.config.vocabulary,
            generator,
            schedule=config.schedule,
            frozen_prefix=self._frozen_tokens(batch, tokens),
        )
        canvas = self._partly_shown(canvas, tokens, generator)
        logits = model.logits(prefix.repeat(config.masks), canvas)
        assert isinstance(logits, Tensor)
        cross_entropy, expectation = self._action_losses(logits, tokens, masked)
        total = cross_entropy + config.expectation * expectation
        losses = Losses(total, {"tokens": cross_entropy, "expectation": expectation})
        return with_grounding(losses, prefix.percept, batch, config.grounding, config.localising)

    def _frozen_tokens(self, batch: Batch, tokens: Tensor) -> Tensor | None:
        """Leading tokens that the network is given, int64 `[B * masks]`: of actions that were being executed."""
        if batch.frozen is None:
            return None
        horizon = batch.targets.actions.shape[1]
        return (batch.frozen * (tokens.shape[1] // horizon)).repeat_interleave(self._config.masks)

    def _partly_shown(self, canvas: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        probability = self._config.no_mask_token_prob
        if probability == 0:
            return canvas
        shown = torch.rand(tokens.shape, generator=generator, device=tokens.device) < probability
        return torch.where(shown, tokens, canvas)

    def _action_losses(self, logits: Tensor, tokens: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        log_p = torch.log_softmax(logits, dim=-1)
        share = self._shares(masked)
        cross_entropy = -(self._targets[tokens] * log_p).sum(dim=-1)
        error = (log_p.exp() @ self._centres - self._centres[tokens]).abs()
        return (cross_entropy * share).sum(), (error * share).sum()

    def _shares(self, masked: Tensor) -> Tensor:
        """What each token counts in the average, float `[B, L]`."""
        if self._config.average == "tokens":
            return masked / masked.sum().clamp_min(1)
        return masked / masked.sum(dim=1, keepdim=True).clamp_min(1) / len(masked)
