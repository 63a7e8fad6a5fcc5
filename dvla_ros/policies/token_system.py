"""What tells the token systems apart: how actions become tokens, who sees whom, how the canvas is decoded."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dvla_ros.actions.chunk_codec import ChunkCodec
from dvla_ros.actions.fast_chunk_codec import FastChunkCodec
from dvla_ros.denoising.canvas import FREE
from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.small_vla import Attention, SmallVlaConfig
from dvla_ros.policies.coding import ActionCoding, is_time_local
from dvla_ros.policies.imagination import Imagination

ACTION = "action"
"""Name of the canvas segment that holds the action tokens; the chunk's tokens are its last ones."""


@dataclass(frozen=True)
class TokenSystem:
    """One of the published token systems, at small size.

    Attributes:
        name: As a checkpoint names it.
        coding: What stands for an action.
        decoding: Default decoder, see `denoising.registry`.
        horizon: Rows of a chunk, H.
        execute_steps: Rows to execute before looking again.
        attention: Who sees whom.
        imagines: Whether the canvas also holds the future images.
        begin_token: Whether a BOA token stands prefilled before the action tokens.
        trained_tokens: Whether the embeddings of the action tokens are trained.
    """

    name: str
    coding: ActionCoding
    decoding: Mapping[str, object]
    horizon: int = 8
    execute_steps: int = 3
    attention: Attention = "block_causal"
    imagines: bool = False
    begin_token: bool = False
    trained_tokens: bool = True

    def network(
        self,
        codec: ChunkCodec,
        perception: PerceptionConfig,
        imagination: Imagination | None = None,
        *,
        heads: int = 4,
        layers: int = 4,
    ) -> SmallVlaConfig:
        """Sizes of the network for these tokens."""
        images = () if imagination is None else imagination.segments()
        return SmallVlaConfig(
            perception=perception,
            heads=heads,
            layers=layers,
            horizon=self.horizon,
            action_dim=codec.dim,
            segments=(*images, self._action_segment(codec)),
            attention=self.attention,
            seen_segments=len(images),
        )

    def _action_segment(self, codec: ChunkCodec) -> SegmentSizes:
        rows, columns = (self.horizon, codec.dim) if is_time_local(codec) else (1, codec.length)
        # Where every chunk fills all positions there is no end to be chosen: EOA is the last id of such a codec.
        unused = int(isinstance(codec, FastChunkCodec) and codec.length == codec.horizon * codec.dim)
        sizes = SegmentSizes(ACTION, rows, columns, codec.vocabulary, reserved=unused, trained=self.trained_tokens)
        if not self.begin_token:
            return sizes
        prefilled = (codec.vocabulary, *(FREE,) * codec.length)
        length = 1 + codec.length
        return replace(
            sizes, rows=1, columns=length, vocabulary=1 + codec.vocabulary, prefilled=prefilled, reserved=1 + unused
        )


def action_positions(network: SmallVlaConfig) -> int:
    """Positions of the action segment that hold the chunk's tokens: all but a prefilled BOA."""
    segment = next(sizes for sizes in network.segments if sizes.name == ACTION)
    return segment.length - sum(token != FREE for token in segment.prefilled)
