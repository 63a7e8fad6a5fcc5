"""The small vision-language-action network of the token systems: perception, one trunk, a head per segment."""

from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.state import Scores
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.canvas_io import SegmentIO, SegmentSizes
from dvla_ros.models.perception import Percept, Perception, PerceptionConfig
from dvla_ros.models.rate_head import RateHead
from dvla_ros.models.trunk import PrefixCache, Trunk, TrunkConfig

Attention = Literal["full", "merged", "block_causal"]


@dataclass(frozen=True)
class SmallVlaConfig:
    """Sizes of the network.

    Attributes:
        perception: Sizes of what reads the observation.
        heads: Attention heads of the trunk.
        layers: Blocks of the trunk.
        horizon: Rows of an action chunk, H.
        action_dim: Columns of an action chunk, D.
        segments: The canvas, from the first to the last segment.
        attention: Who sees whom. `block_causal`: the prefix sees itself, a segment sees the prefix, itself and the
            segments before it, so that the prefix is computed once and exactly; `merged`: the same, but all segments
            see each other; `full`: everything sees everything, the prefix too, and is computed in every step.
        seen_segments: The first this many segments, images of the future, also stand in the prefix as the present is:
            with the same embeddings and places, so that what does not change need only be copied (UD-VLA).
        rate_head: Whether the network also gives replacement rates (DFM-VLA's head variant).
    """

    perception: PerceptionConfig = field(default_factory=PerceptionConfig)
    heads: int = 4
    layers: int = 4
    horizon: int = 8
    action_dim: int = 7
    segments: tuple[SegmentSizes, ...] = (SegmentSizes("action", 8, 7, 256),)
    attention: Attention = "block_causal"
    seen_segments: int = 0
    rate_head: bool = False

    def __post_init__(self) -> None:
        if self.perception.width % self.heads:
            raise ConfigurationError(
                f"width must be a multiple of heads, got {self.perception.width} and {self.heads}."
            )
        if min(self.horizon, self.action_dim, self.layers) < 1 or not self.segments:
            raise ConfigurationError(f"every size must be 1 or more, and there must be a segment, got {self}.")
        if self.attention not in get_args(Attention):
            raise ConfigurationError(f"attention must be one of {get_args(Attention)}, got {self.attention!r}.")
        if not 0 <= self.seen_segments < len(self.segments):
            raise ConfigurationError(
                f"seen_segments must lie in 0..{len(self.segments) - 1}, below the number of segments, got "
                f"{self.seen_segments}."
            )

    @property
    def vocabulary(self) -> int:
        """Token ids of the largest segment, V; the mask token is V."""
        return self.canvas.vocabulary

    @property
    def prefix_length(self) -> int:
        """Number of tokens P before the canvas."""
        return self.perception.length + sum(sizes.length for sizes in self.segments[: self.seen_segments])

    @property
    def canvas(self) -> Canvas:
        """What a decoder fills."""
        return Canvas(tuple(sizes.segment for sizes in self.segments))


@dataclass(frozen=True)
class Prefix:
    """What the network made of an observation.

    Attributes:
        percept: What it perceived.
        cache: Keys and values for the canvas.
        tokens: The trunk's input `[B, P, width]`; `full` attention runs it again in every step.
    """

    percept: Percept
    cache: PrefixCache
    tokens: Tensor

    def repeat(self, times: int) -> "Prefix":
        """The same prefix for `times` canvases per row, rows of one prefix side by side."""
        return Prefix(self.percept, self.cache.repeat(times), self.tokens.repeat_interleave(times, dim=0))


class SmallVla(nn.Module):
    """Observation to prefix, once; prefix and canvas to logits, once per denoising step."""

    canvas_mask: Tensor | None

    def __init__(self, config: SmallVlaConfig) -> None:
        super().__init__()
        width = config.perception.width
        self.config = config
        self.perception = Perception(config.perception)
        self.segments = nn.ModuleDict({sizes.name: SegmentIO(sizes, width) for sizes in config.segments})
        self.trunk = Trunk(TrunkConfig.small(width, config.heads, config.layers))
        if config.seen_segments:
            self.present = nn.Parameter(torch.randn(1, 1, width) * 0.1)
        if config.rate_head:
            self.rates = RateHead(width, config.vocabulary)
        self.register_buffer("canvas_mask", _canvas_mask(config), persistent=False)

    def prefill(
        self, images: Tensor, text: Tensor, state: Tensor, seen: Tensor | None = None, moved: Tensor | None = None
    ) -> Prefix:
        """Encode an observation; see `Perception.forward`.

        Args:
            images: uint8, or float in 0..255, `[B, C, 3, h, w]` RGB.
            text: Token embeddings `[B, T, 384]`.
            state: Normalised state `[B, S]`, about -1..1.
            seen: Tokens int64 of the seen segments as the present is, where the network is made for them.
            moved: How far frozen rows will take the gripper, see `Perception.forward`.
        """
        return self.prefill_percept(self.perception(images, text, state, moved), seen)

    def prefill_percept(self, percept: Percept, seen: Tensor | None = None) -> Prefix:
        """The prefix of an observation that was perceived already."""
        tokens = percept.tokens
        if self.config.seen_segments:
            assert seen is not None
            present = self._embed(seen, self.config.segments[: self.config.seen_segments]) + self.present
            tokens = torch.cat([tokens, present], dim=1)
        return Prefix(percept, self.trunk.prefill(tokens), tokens)

    def logits(self, prefix: Prefix, tokens: Tensor) -> Tensor | Scores:
        """Logits `[B, L, V]` for canvases int64 `[B, L]`; `Scores` with rates from a network that has a rate head."""
        return self.read_canvas(self._hidden(prefix, self.embed_canvas(tokens)))

    def embed_canvas(self, tokens: Tensor) -> Tensor:
        """Canvases int64 `[B, L]` as the trunk takes them, `[B, L, width]`."""
        return self._embed(tokens, self.config.segments)

    def read_canvas(self, hidden: Tensor) -> Tensor | Scores:
        """What `logits` gives, of the trunk's hidden states `[B, L, width]` of the canvas."""
        parts = hidden.split([sizes.length for sizes in self.config.segments], dim=1)
        vocabulary = self.config.vocabulary
        named = zip(self.config.segments, parts, strict=True)
        logits = torch.cat([self._io(sizes.name).logits(part, vocabulary) for sizes, part in named], dim=1)
        return Scores(logits, self.rates(hidden)) if self.config.rate_head else logits

    def token_table(self, segment: str) -> Tensor:
        """Embeddings `[V, width]` of a segment's tokens, padded to the largest vocabulary with copies of the last."""
        table = self._io(segment).token.weight.detach()[:-1]
        missing = self.config.vocabulary - len(table)
        return torch.cat([table, table[-1:].expand(missing, -1)])

    def _embed(self, tokens: Tensor, segments: tuple[SegmentSizes, ...]) -> Tensor:
        parts = tokens.split([sizes.length for sizes in segments], dim=1)
        named = zip(segments, parts, strict=True)
        return torch.cat([self._io(sizes.name).embed(part) for sizes, part in named], dim=1)

    def _hidden(self, prefix: Prefix, canvas: Tensor) -> Tensor:
        if self.config.attention != "full":
            return self.trunk.decode(canvas, prefix.cache, mask=self.canvas_mask)
        everything: Tensor = self.trunk(torch.cat([prefix.tokens, canvas], dim=1))
        return everything[:, prefix.tokens.shape[1] :]

    def _io(self, name: str) -> SegmentIO:
        part = self.segments[name]
        assert isinstance(part, SegmentIO)
        return part


def _canvas_mask(config: SmallVlaConfig) -> Tensor | None:
    """Which position sees which, bool `[L, P + L]`; None where everything sees everything."""
    if config.attention != "block_causal" or len(config.segments) == 1:
        return None
    levels = torch.cat([torch.full((sizes.length,), i) for i, sizes in enumerate(config.segments)])
    prefix = torch.ones(len(levels), config.prefix_length, dtype=torch.bool)
    return torch.cat([prefix, levels.unsqueeze(0) <= levels.unsqueeze(1)], dim=1)
