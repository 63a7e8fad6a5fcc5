"""A token policy taken apart: its network, canvas and codec, for decoding that a policy itself does not offer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.chunk_codec import ChunkCodec, DecodedChunk
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.flow import FlowDenoiser
from dvla_ros.denoising.flow_paths import embedding_distance
from dvla_ros.denoising.loop import Denoiser, LogitsFn
from dvla_ros.denoising.registry import make_decoder, override
from dvla_ros.policies.coding import load_codec
from dvla_ros.policies.small_token_network import SmallCheckpoint
from dvla_ros.policies.token_system import ACTION, action_positions


class OpenedPolicy:
    """The parts of a `TokenPolicy`, on the CPU.

    Attributes:
        canvas: What is decoded.
        codec: The chunk's tokens, the last ones of the action segment, to actions.

    Args:
        checkpoint: The checkpoint, read.
        codec: Chunk to tokens and back.
    """

    def __init__(self, checkpoint: SmallCheckpoint, codec: ChunkCodec) -> None:
        self._network = checkpoint.network(torch.device("cpu"))
        self.canvas, self.codec = self._network.canvas, codec
        self._settings = checkpoint.config.decoding

    @classmethod
    def from_checkpoint(cls, folder: Path) -> "OpenedPolicy":
        """Load a checkpoint folder.

        Raises:
            CheckpointError: The folder is not a usable checkpoint of a token system.
        """
        checkpoint = SmallCheckpoint.read(folder)
        config, sizes = checkpoint.config, checkpoint.sizes
        codec = load_codec(config.coding, checkpoint.statistics, sizes.horizon, action_positions(sizes), folder)
        return cls(checkpoint, codec)

    @torch.no_grad()
    def network(self, observation: Observation) -> LogitsFn:
        """Canvas to scores, after this observation.

        Raises:
            ObservationError: The observation is not usable.
        """
        nothing_frozen = np.zeros((0, self.codec.dim), dtype=np.float32)
        prefix = self._network.prefill(self._network.prepare(observation), nothing_frozen)
        return lambda tokens: self._network.logits(prefix, tokens)

    def decoder(self, changes: Mapping[str, object]) -> Denoiser[Any]:
        """The checkpoint's decoder with some settings replaced, see `denoising.registry.override`."""
        decoder = make_decoder(override(self._settings, changes))
        if isinstance(decoder, FlowDenoiser):
            return decoder.with_distance(embedding_distance(self._network.token_table()))
        return decoder

    def chunk(self, tokens: Tensor) -> DecodedChunk:
        """The chunk on a canvas int64 `[L]`."""
        return self.codec.decode(tokens[self.canvas.span(ACTION)][-self.codec.length :].numpy())
