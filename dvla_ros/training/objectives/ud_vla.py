"""UD-VLA: future images and action tokens, masked independently and recovered together (arXiv 2511.01718)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import FREE, Canvas
from dvla_ros.denoising.noise import TRAINING, Noise
from dvla_ros.denoising.sampling import lowest
from dvla_ros.errors import ConfigurationError
from dvla_ros.training.batch import ExampleBatch
from dvla_ros.training.grounding import grounding_counts, grounding_sums
from dvla_ros.training.learner import TokenLearner
from dvla_ros.training.objectives.frozen_rows import FrozenPositions, frozen_positions
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


@dataclass(frozen=True)
class JointExercise:
    """Canvases of images and actions, each masked.

    Attributes:
        batch: The examples.
        counts: See `training.batch.Exercise`.
        canvas: int64 `[B, L]`, masked.
        supervised: bool `[B, L]`.
    """

    batch: ExampleBatch
    counts: Mapping[str, Tensor]
    canvas: Tensor
    supervised: Tensor


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
        self._config, self._canvas, self._end = config, canvas, end
        self._span = canvas.span(_ACTION)
        self._targets = smooth_targets(canvas.segments[-1].vocabulary, config.neighbours)
        borders = [token != FREE for s in canvas.segments for token in (s.prefilled or (FREE,) * s.length)]
        self._border = torch.tensor(borders)
        self.weights = {
            "all": 1.0,
            "images": 0.0,
            "tokens": 0.0,
            "grounding": config.grounding,
            "localising": config.localising,
        }

    def exercise(self, batch: ExampleBatch, noise: Noise) -> JointExercise:
        """See `Objective`."""
        tokens, split = batch.targets.tokens, self._span.start
        assert tokens is not None
        frozen = frozen_positions(batch, self._canvas, rows_are_tokens=self._end is None)
        masked, supervised = self._corruption(tokens, frozen, noise)
        images, actions = supervised[:, :split].sum(), supervised[:, split:].sum()
        counts = {
            "all": self._config.vision_weight * images + actions,
            "images": images,
            "tokens": actions,
            **grounding_counts(batch),
        }
        return JointExercise(batch, counts, tokens.masked_fill(masked, self._canvas.mask_token), supervised)

    def sums(self, learner: TokenLearner, exercise: JointExercise) -> Mapping[str, Tensor]:
        """See `Objective`."""
        batch, tokens, split = exercise.batch, exercise.batch.targets.tokens, self._span.start
        assert tokens is not None
        prefix = learner.prefix(batch)
        logits = learner.logits(prefix, exercise.canvas)
        assert isinstance(logits, Tensor)
        image = _cross_entropies(logits[:, :split], tokens[:, :split])
        action = self._action_cross_entropies(logits[:, split:], tokens[:, split:])
        images = (image * exercise.supervised[:, :split]).sum()
        actions = (action * exercise.supervised[:, split:]).sum()
        return {
            "all": self._config.vision_weight * images + actions,
            "images": images.detach(),
            "tokens": actions.detach(),
            **grounding_sums(learner.percept(prefix), batch),
        }

    def _corruption(self, tokens: Tensor, frozen: FrozenPositions, noise: Noise) -> tuple[Tensor, Tensor]:
        """Masked and supervised positions, bool `[B, L]` each."""
        config, split = self._config, self._span.start
        real = ~self._padding(tokens)
        free = real & ~frozen.given
        image = self._masked_part(free[:, :split], noise, draw=0)
        action = self._masked_part(free[:, split:], noise, draw=2) | ~real[:, split:]
        if config.stage == "world_model":
            action = torch.ones_like(action)
        if config.clean_images:
            clean = noise.uniform(1, step=TRAINING, draw=4) < config.clean_images
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

    def _masked_part(self, free: Tensor, noise: Noise, draw: int) -> Tensor:
        """max(1, round(length * ratio)) free positions of a segment, borders included, bool like `free` `[B, n]`."""
        ratio = self._ratio(noise, draw)
        lottery = noise.uniform(free.shape[1], step=TRAINING, draw=draw + 1)
        count = torch.round(free.sum(dim=1, keepdim=True) * ratio).long().clamp_min(1)
        return lowest(lottery, free, count)

    def _ratio(self, noise: Noise, draw: int) -> Tensor:
        """One mask ratio per row, `[B, 1]`."""
        u = noise.uniform(1, step=TRAINING, draw=draw)
        if not self._config.mask_ratios:
            return torch.cos(u * torch.pi / 2).clamp_min(self._config.least_ratio)
        ratios = torch.tensor(self._config.mask_ratios, device=u.device)
        return ratios[(u * len(ratios)).long()]

    def _action_cross_entropies(self, logits: Tensor, tokens: Tensor) -> Tensor:
        vocabulary = len(self._targets)
        log_p = _of_what_can_be_chosen(torch.log_softmax(logits[..., :vocabulary].float(), dim=-1))
        return -(self._targets.to(logits.device)[tokens] * log_p).sum(dim=-1)


def _cross_entropies(logits: Tensor, tokens: Tensor) -> Tensor:
    """`[B, n]`; logits of ids that a position cannot hold may be -inf."""
    log_p = torch.log_softmax(logits.float(), dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return -_of_what_can_be_chosen(log_p)


def _of_what_can_be_chosen(log_p: Tensor) -> Tensor:
    """0 for borders, which stand where they are prefilled: a network that never writes them has -inf, and 0 * inf."""
    return log_p.masked_fill(log_p == -torch.inf, 0.0)
