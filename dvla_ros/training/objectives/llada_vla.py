"""LLaDA-VLA: localised special-token classification (arXiv 2509.06932, section 3.2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.denoising.corruption import mask_independently
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.training.batch import Batch, Losses
from dvla_ros.training.grounding import with_grounding
from dvla_ros.training.objectives.frozen_rows import frozen_positions, has_row_tokens
from dvla_ros.training.smooth_targets import smooth_targets


@dataclass(frozen=True)
class LladaVlaObjectiveConfig:
    """Weights of the parts of the loss.

    Attributes:
        masks: Differently masked canvases per observation; the prefix is shared among them.
        weight: `none` (LLaDA-VLA), or `inverse_time`: 1/t, the generic LLaDA loss.
        neighbours: Standard deviation in intervals of the target distribution; 0 is one-hot, as published.
        grounding: Weight of finding the sentence's object and goal in the images.
        localising: Weight of telling where these two are.
    """

    masks: int = 2
    weight: str = "none"
    neighbours: float = 0.0
    grounding: float = 0.15
    localising: float = 2.0

    def __post_init__(self) -> None:
        if self.masks < 1 or min(self.neighbours, self.grounding, self.localising) < 0:
            raise ConfigurationError(f"masks must be 1 or more and weights 0 or more, got {self}.")
        if self.weight not in ("none", "inverse_time"):
            raise ConfigurationError(f"weight must be none or inverse_time, got {self.weight!r}.")


class LladaVlaObjective:
    """t ~ U(0, 1), each token masked with probability t; cross-entropy over the special tokens alone, no shift.

    Rows that were being executed are given and not taught, see `frozen_rows`.
    """

    def __init__(self, config: LladaVlaObjectiveConfig, vocabulary: int) -> None:
        self._config = config
        self._targets = smooth_targets(vocabulary, config.neighbours)

    def __call__(self, model: SmallVla, batch: Batch, generator: torch.Generator) -> Losses:
        """All losses of one batch."""
        config = self._config
        assert batch.targets.tokens is not None
        prefix = model.prefill(batch.images, batch.text, batch.state, moved=batch.moved)
        tokens = batch.targets.tokens.repeat_interleave(config.masks, dim=0)
        canvas = model.config.canvas
        frozen = frozen_positions(batch, canvas, rows_are_tokens=has_row_tokens(canvas, batch)).repeat(config.masks)
        noisy, masked, ratio = mask_independently(tokens, canvas.mask_token, generator, fixed=frozen.given)
        logits = model.logits(prefix.repeat(config.masks), noisy)
        assert isinstance(logits, Tensor)
        loss = self._masked_loss(logits, tokens, masked, ratio, ~frozen.untaught)
        losses = Losses(loss, {"tokens": loss})
        return with_grounding(losses, prefix.percept, batch, config.grounding, config.localising)

    def _masked_loss(self, logits: Tensor, tokens: Tensor, masked: Tensor, ratio: Tensor, taught: Tensor) -> Tensor:
        cross_entropy = -(self._targets[tokens] * torch.log_softmax(logits, dim=-1)).sum(dim=-1)
        if self._config.weight == "inverse_time":
            return (cross_entropy * (masked & taught) / ratio).sum() / taught.sum().clamp_min(1)
        return (cross_entropy * (masked & taught)).sum() / (masked & taught).sum().clamp_min(1)
