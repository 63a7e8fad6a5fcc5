"""UD-VLA: future images and action tokens, masked independently and recovered together (arXiv 2511.01718)."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import FREE, Canvas
from dvla_ros.denoising.sampling import lowest
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.training.batch import Batch, Losses
from dvla_ros.training.grounding import with_grounding
from dvla_ros.training.objectives.frozen_rows import FrozenPositions, frozen_positions, mean_where
from dvla_ros.training.smooth_targets import smooth_targets

Stage = Literal["world_model", "joint"]
_ACTION = "action"


@dataclass(frozen=True)
class UdVlaObjectiveConfig:
    """Weights of the parts of the loss.

    Attributes:
        stage: `world_model`: future images alone, the action segment stays masked and unsupervised (post-training);
            `joint`: both (fine-tuning).
        vision_weight: Weight of an image token against an action token's 1 in the weighted mean (0.5 released).
        least_ratio: Least mask ratio of a segment; the ratio is max(cos(pi u / 2), this).
        mask_ratios: Ratios of which each segment draws one, instead of by the cosine; 0.25, 0.5 and 0.75 in the
            released code's `use_schedule=False`. Empty for the cosine.
        clean_images: Probability that the future images are given clean and unsupervised, so that actions learn to
            follow them (0.75 released; 0 here by default: all images of a small run teach).
        fixed_borders: Whether BOI, EOI and BOA are never masked (`fixbe`); the published runs may have masked them.
        masked_padding: Whether what follows EOA is always masked and unsupervised (released), as a decoder that knows
            its `eoa_token` shows it to the network; False teaches to repeat EOA.
        neighbours: Standard deviation in ids of the action tokens' target distribution; 0 is one-hot, as published.
        grounding: Weight of finding the sentence's object and goal in the images.
        localising: Weight of telling where these two are.
    """

    stage: Stage = "joint"
    vision_weight: float = 0.5
    least_ratio: float = 0.1
    mask_ratios: tuple[float, ...] = ()
    clean_images: float = 0.0
    fixed_borders: bool = True
    masked_padding: bool = True
    neighbours: float = 0.0
    grounding: float = 0.15
    localising: float = 2.0

    def __post_init__(self) -> None:
        if self.stage not in get_args(Stage):
            raise ConfigurationError(f"stage must be one of {get_args(Stage)}, got {self.stage!r}.")
        if min(self.vision_weight, self.neighbours, self.grounding, self.localising) < 0:
            raise ConfigurationError(f"Weights must be 0 or more, got {self}.")
        if not (0 < self.least_ratio <= 1 and 0 <= self.clean_images <= 1):
            raise ConfigurationError(
                f"least_ratio must lie in 0..1, above 0, and clean_images in 0..1, got {self.least_ratio} and "
                f"{self.clean_images}."
            )
        if not all(0 < ratio <= 1 for ratio in self.mask_ratios):
            raise ConfigurationError(f"mask_ratios must lie in 0..1, above 0, got {self.mask_ratios}.")


class UdVlaObjective:
    """Two segments, two independent mask ratios, one weighted cross-entropy.

    What was being executed is not taught, see `frozen_rows`; the images of such a frame are.

    Args:
        config: Weights.
        canvas: Image segments, then the action segment.
        end: EOA, in the vocabulary of the action segment; None where every number has a token of its own and chunks
            are never padded.
    """

    def __init__(self, config: UdVlaObjectiveConfig, canvas: Canvas, end: int | None = None) -> None:
        self._config = config
        self._end = end
        self._span = canvas.span(_ACTION)
        self._mask_token = canvas.mask_token
        self._targets = smooth_targets(canvas.segments[-1].vocabulary, config.neighbours)
        borders = [token != FREE for s in canvas.segments for token in (s.prefilled or (FREE,) * s.length)]
        self._border = torch.tensor(borders)

    def __call__(self, model: SmallVla, batch: Batch, generator: torch.Generator) -> Losses:
        """All losses of one batch."""
        assert batch.targets.tokens is not None
        tokens = batch.targets.tokens
        prefix = model.prefill(batch.images, batch.text, batch.state, batch.targets.seen)
        frozen = frozen_positions(batch, model.config.canvas, rows_are_tokens=self._end is None)
        masked, supervised = self._corruption(tokens, frozen, generator)
        logits = model.logits(prefix, tokens.masked_fill(masked, self._mask_token))
        assert isinstance(logits, Tensor)
        split = self._span.start
        image = _cross_entropies(logits[:, :split], tokens[:, :split])
        action = self._action_cross_entropies(logits[:, split:], tokens[:, split:])
        weight = supervised.float()
        weight[:, :split] *= self._config.vision_weight
        each = torch.cat([image, action], dim=1)
        total = (each * weight).sum() / weight.sum().clamp_min(1e-6)
        parts = {
            "images": mean_where(image, supervised[:, :split]).detach(),
            "tokens": mean_where(action, supervised[:, split:]).detach(),
        }
        losses = Losses(total, parts)
        return with_grounding(losses, prefix.percept, batch, self._config.grounding, self._config.localising)

    def _corruption(self, tokens: Tensor, frozen: FrozenPositions, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Masked and supervised positions, bool `[B, L]` each."""
        config, split = self._config, self._span.start
        real = ~self._padding(tokens)
        free = real & ~frozen.given
        image = self._masked_part(free[:, :split], generator)
        action = self._masked_part(free[:, split:], generator) | ~real[:, split:]
        if config.stage == "world_model":
            action = torch.ones_like(action)
        if config.clean_images:
            clean = torch.rand(len(tokens), 1, generator=generator, device=tokens.device) < config.clean_images
            image = image & ~clean
        masked = torch.cat([image, action], dim=1)
        if config.fixed_borders:
            masked = masked & ~self._border.to(tokens.device)
        supervised = masked & real & ~frozen.untaught
        if config.stage == "world_model":
            supervised[:, split:] = False
        return masked, supervised

    def _padding(self, tokens: Tensor) -> Tensor:
        """Positions behind EOA that are to stay masked, bool `[B, L]`."""
        padding = torch.zeros_like(tokens, dtype=torch.bool)
        if self._config.masked_padding and self._end is not None:
            ends = tokens[:, self._span].eq(self._end).long()
            padding[:, self._span] = ends.cumsum(dim=1) > ends
        return padding

    def _masked_part(self, free: Tensor, generator: torch.Generator) -> Tensor:
        """max(1, round(length * ratio)) free positions of a segment, borders included, bool like `free` `[B, n]`."""
        ratio = self._ratio(len(free), generator, free.device)
        lottery = torch.rand(free.shape, generator=generator, device=free.device)
        count = torch.round(free.sum(dim=1, keepdim=True) * ratio).long().clamp_min(1)
        return lowest(lottery, free, count)

    def _ratio(self, rows: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """One mask ratio per row, `[B, 1]`."""
        u = torch.rand(rows, 1, generator=generator, device=device)
        if not self._config.mask_ratios:
            return torch.cos(u * torch.pi / 2).clamp_min(self._config.least_ratio)
        ratios = torch.tensor(self._config.mask_ratios, device=device)
        return ratios[(u * len(ratios)).long()]

    def _action_cross_entropies(self, logits: Tensor, tokens: Tensor) -> Tensor:
        vocabulary = len(self._targets)
        log_p = torch.log_softmax(logits[..., :vocabulary], dim=-1)
        return -(self._targets[tokens] * log_p).sum(dim=-1)


def _cross_entropies(logits: Tensor, tokens: Tensor) -> Tensor:
    """`[B, n]`; logits of ids that a position cannot hold may be -inf."""
    return -torch.log_softmax(logits, dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
