"""Block-wise decoding: actions from the first to the last, each begun before the one before is done (Fast-dVLA)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas, Segment, WarmStart
from dvla_ros.denoising.commit import commit
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.sampling import probability_of, rank_from_lowest, sample
from dvla_ros.denoising.state import DecodeState, Scores, StepTrace
from dvla_ros.denoising.validation import require
from dvla_ros.denoising.warm_start import starting_canvas

_ROUND_OFF = 1e-9  # keeps ceil() from gaining a token where the product is a whole number but for rounding


@dataclass(frozen=True)
class BlockwiseConfig:
    """Settings of `BlockwiseDenoiser`; the defaults are those of Fast-dVLA (arXiv 2603.25661).

    Attributes:
        block_actions: Actions in a block.
        block_tokens: Positions in a block of a segment of one row, where positions are not actions: images, or
            coefficients of the whole chunk.
        add_at: tau_add, decided share of a block from which tokens of the next one may be accepted: 2 of 7 tokens.
        activate_at: tau_act, decided share from which the next one must also get on by `least_share`: 4 of 7 tokens.
        threshold: tau_conf, confidence above which a token is accepted.
        least_share: 1/n, share of its masked tokens, rounded up, that an active block commits in a step even if none
            is sure enough.
        value_temperature: 0 proposes the arg-max.
        warm_keep: Share of a warm start's guesses that is kept, the most confident ones.

    Raises:
        ConfigurationError: A value is out of range.
    """

    block_actions: int = 1
    block_tokens: int = 32
    add_at: float = 0.28
    activate_at: float = 0.57
    threshold: float = 0.5
    least_share: float = 0.5
    value_temperature: float = 0.0
    warm_keep: float = 0.5

    def __post_init__(self) -> None:
        for name in ("block_actions", "block_tokens"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("add_at", "activate_at", "threshold", "warm_keep"):
            self._require(name, 0 <= getattr(self, name) <= 1, "in 0..1")
        self._require("least_share", 0 < self.least_share <= 1, "above 0 and at most 1")
        self._require("value_temperature", self.value_temperature >= 0, "at least 0")

    def _require(self, name: str, condition: bool, rule: str) -> None:
        require(condition, "Block-wise decoding", name, getattr(self, name), rule)

    def block_lengths(self, segment: Segment) -> list[int]:
        """Positions of each block of a segment; the last one may be shorter."""
        length = self.block_tokens if segment.steps == 1 else self.block_actions * segment.dims
        return [min(length, segment.length - start) for start in range(0, segment.length, length)]


@dataclass(frozen=True)
class BlockwiseState(DecodeState):
    """A canvas in block-wise decoding, with K blocks.

    Attributes:
        block_of: int64 `[L]`, the block of each position.
        size: int64 `[K]`, positions of each block.
    """

    block_of: Tensor
    size: Tensor


class BlockwiseDenoiser:
    """Decide the blocks of the canvas in their order, several at a time.

    A block is *added* when the share tau_add of the block before is decided and that one is added; the first is. It
    is *active* when the share tau_act of the block before is decided. One denoising step:

    1. p = softmax(logits); propose z, the arg-max or a sample of p, at every masked position.
    2. In blocks that are added, commit the proposals with p(z) above tau_conf.
    3. In active ones commit the surest 1/n of the masked tokens in any case.

    A committed token is final. The first block that is not decided is active, so decoding ends; how many steps it
    takes at most follows from the thresholds.
    """

    def __init__(self, config: BlockwiseConfig) -> None:
        self.config = config

    def start(
        self,
        canvas: Canvas,
        *,
        noise: Noise,
        frozen_tokens: Tensor | None,
        warm_start: WarmStart | None,
        device: torch.device,
    ) -> BlockwiseState:
        """Everything masked but the given and the surest guessed positions.

        Raises:
            ActionError: `frozen_tokens` or `warm_start` has the wrong shape or an id outside the vocabulary.
        """
        begin = starting_canvas(
            canvas,
            batch_size=noise.batch_size,
            frozen_tokens=frozen_tokens,
            warm_start=warm_start,
            keep=self.config.warm_keep,
            device=device,
        )
        lengths = [length for segment in canvas.segments for length in self.config.block_lengths(segment)]
        block_of = torch.tensor([block for block, length in enumerate(lengths) for _ in range(length)], device=device)
        size = torch.tensor(lengths, device=device)
        return BlockwiseState(
            tokens=begin.tokens,
            confidence=begin.confidence,
            frozen=begin.frozen,
            undecided=begin.masked,
            num_steps=self._most_steps(_per_block(begin.masked, block_of, size), size),
            block_of=block_of,
            size=size,
        )

    def step(self, index: int, state: BlockwiseState, scores: Scores, noise: Noise) -> tuple[BlockwiseState, StepTrace]:
        """One denoising step; `scores` answer `state.tokens`."""
        masked, block_of = state.undecided, state.block_of
        log_p = torch.log_softmax(scores.logits.float(), dim=-1)
        proposal = torch.where(masked, sample(log_p, self.config.value_temperature, noise, step=index), state.tokens)
        probability = probability_of(proposal, log_p)

        left = _per_block(masked, block_of, state.size)
        added, least = self._added(left, state.size), self._least(left, state.size)
        sure = added[:, block_of] & (probability > self.config.threshold)
        chosen = masked & (sure | (_place_in_block(probability, masked, block_of, left) <= least[:, block_of]))
        return commit(state, chosen, proposal, probability)

    def _most_steps(self, left: Tensor, size: Tensor) -> int:
        """Steps of a network that is never sure; any other has at least as much decided after each, in every block."""
        steps = 0
        while bool(left.any()):
            left = left - self._least(left, size)
            steps += 1
        return steps

    def _added(self, left: Tensor, size: Tensor) -> Tensor:
        """Blocks of which tokens may be accepted, bool `[B, K]`."""
        return _after_block_before(left, size, self.config.add_at).long().cumprod(dim=-1).bool()

    def _least(self, left: Tensor, size: Tensor) -> Tensor:
        """Tokens that each block commits in any case, int64 `[B, K]`; 0 where it is not active."""
        active = self._added(left, size) & _after_block_before(left, size, self.config.activate_at)
        wanted = torch.ceil(left.double() * self.config.least_share - _ROUND_OFF).long()
        return torch.minimum(wanted.clamp_min(1), left) * active


def _per_block(masked: Tensor, block_of: Tensor, size: Tensor) -> Tensor:
    """Masked positions in each block, int64 `[B, K]`."""
    counts = torch.zeros(len(masked), len(size), dtype=torch.int64, device=masked.device)
    return counts.scatter_add(1, block_of.expand_as(masked), masked.long())


def _after_block_before(left: Tensor, size: Tensor, share: float) -> Tensor:
    """Whether at least this share of the block before is decided, bool `[B, K]`; true of the first block."""
    enough = 1 - left.double() / size >= share
    return torch.cat([torch.ones_like(enough[:, :1]), enough[:, :-1]], dim=1)


def _place_in_block(probability: Tensor, masked: Tensor, block_of: Tensor, left: Tensor) -> Tensor:
    """1 for the surest masked position of a block, 2 for the next, int64 `[B, L]`; only masked ones mean anything."""
    block_by_block = probability.double() - 2 * block_of  # all of an earlier block before any of a later one
    place = masked.sum(dim=-1, keepdim=True) - rank_from_lowest(block_by_block, masked)
    before = left.cumsum(dim=-1) - left
    return place - before[:, block_of]
