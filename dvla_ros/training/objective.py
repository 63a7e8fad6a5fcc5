"""What the small Discrete Diffusion VLA is trained on: masked action tokens, and where the words point."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.denoising.corruption import mask_for_training
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.small_vla import Prefix, SmallVla
from dvla_ros.models.vision import STRIDE


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights of the parts of the loss.

    Attributes:
        masks: Differently masked canvases per observation; the prefix is shared among them.
        neighbours: Standard deviation in bins of the target distribution over neighbouring bins; 0 is one-hot.
        expectation: Weight of the L1 between the action and the expectation of the bin centres (DiscreteRTC, 0.1).
        grounding: Weight of finding the sentence's object and goal in the images.
        localising: Weight of telling where these two are, per normalised unit of the state's x, y, z (about 0.12 m).
    """

    masks: int = 2
    neighbours: float = 0.8
    expectation: float = 0.1
    grounding: float = 0.15
    localising: float = 2.0

    def __post_init__(self) -> None:
        if self.masks < 1 or min(self.neighbours, self.expectation, self.grounding, self.localising) < 0:
            raise ConfigurationError(f"masks must be 1 or more and weights 0 or more, got {self}.")


@dataclass(frozen=True)
class Batch:
    """Training examples, in the layout the network reads.

    Attributes:
        images: uint8 or float in 0..255 `[B, C, 3, h, w]`.
        text: `[B, T, 384]`.
        state: `[B, S]` normalised.
        tokens: int64 `[B, L]`.
        pixels: `[B, C, 2, 2]` in 0..1, as in `training.demonstrations.Frame`.
        points: `[B, 2, 3]` likewise, but in the units of the normalised state's x, y, z.
    """

    images: Tensor
    text: Tensor
    state: Tensor
    tokens: Tensor
    pixels: Tensor
    points: Tensor


@dataclass(frozen=True)
class Losses:
    """Scalar tensors: the weighted sum and its unweighted parts."""

    total: Tensor
    tokens: Tensor
    expectation: Tensor
    grounding: Tensor
    localising: Tensor


class MaskedObjective:
    """Cross-entropy of masked action tokens (seed_systems: cosine ratio) with auxiliary grounding."""

    def __init__(self, config: ObjectiveConfig, centres: Tensor) -> None:
        self._config = config
        self._centres = centres
        self._targets = _smooth_targets(len(centres), config.neighbours)

    def __call__(self, model: SmallVla, batch: Batch, generator: torch.Generator) -> Losses:
        """All losses of one batch."""
        config = self._config
        prefix = model.prefill(batch.images, batch.text, batch.state)
        tokens = batch.tokens.repeat_interleave(config.masks, dim=0)
        canvas, masked = mask_for_training(tokens, model.config.vocabulary, generator)
        logits = model.logits(prefix.cache.repeat(config.masks), canvas)
        token_loss, expectation = self._action_losses(logits, tokens, masked)
        grounding = _grounding_loss(prefix, batch.pixels, model.config.image_height, model.config.image_width)
        localising = (prefix.points - batch.points).abs().mean()
        total = token_loss + config.expectation * expectation
        total = total + config.grounding * grounding + config.localising * localising
        return Losses(total, token_loss, expectation, grounding, localising)

    def _action_losses(self, logits: Tensor, tokens: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        """Averaged over the masked tokens of each canvas, then over canvases."""
        log_p = torch.log_softmax(logits, dim=-1)
        share = masked / masked.sum(dim=1, keepdim=True).clamp_min(1) / len(masked)
        cross_entropy = -(self._targets[tokens] * log_p).sum(dim=-1)
        error = (log_p.exp() @ self._centres - self._centres[tokens]).abs()
        return (cross_entropy * share).sum(), (error * share).sum()


def _smooth_targets(vocabulary: int, deviation: float) -> Tensor:
    """Target distribution of each bin `[V, V]`: a discrete Gaussian around it."""
    if deviation == 0:
        return torch.eye(vocabulary)
    bins = torch.arange(vocabulary, dtype=torch.float32)
    return torch.softmax(-0.5 * ((bins.unsqueeze(0) - bins.unsqueeze(1)) / deviation).square(), dim=-1)


def _grounding_loss(prefix: Prefix, pixels: Tensor, height: int, width: int) -> Tensor:
    """Heat-map cross-entropy and position error of the two supervised keypoints, where they are in view.

    Args:
        prefix: Of B observations.
        pixels: True (u, v) `[B, C, 2, 2]`.
        height: Image height in pixels.
        width: Image width in pixels.
    """
    visible = ((pixels > 0.0) & (pixels < 1.0)).all(dim=-1).float()
    cells = _bilinear_cells(pixels.clamp(0.0, 1.0), height // STRIDE, width // STRIDE)
    cross_entropy = -(cells * prefix.log_places[:, :, :2]).sum(dim=-1)
    distance = (prefix.positions[:, :, :2] - pixels).abs().sum(dim=-1)
    return ((cross_entropy + 5.0 * distance) * visible).sum() / visible.sum().clamp_min(1.0)


def _bilinear_cells(pixels: Tensor, rows: int, columns: int) -> Tensor:
    """Distribution over grid cells `[..., rows * columns]` whose mean is the point (u, v) in 0..1."""
    x = (pixels[..., 0] * columns - 0.5).clamp(0.0, columns - 1.0)
    y = (pixels[..., 1] * rows - 0.5).clamp(0.0, rows - 1.0)
    across = functional.relu(1.0 - (x.unsqueeze(-1) - torch.arange(columns)).abs())
    down = functional.relu(1.0 - (y.unsqueeze(-1) - torch.arange(rows)).abs())
    return (down.unsqueeze(-1) * across.unsqueeze(-2)).flatten(-2)
