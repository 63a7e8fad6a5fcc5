"""A token policy taken apart: its network, canvas and codec, for decoding that a policy itself does not offer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dvla_ros.actions.chunk_codec import ChunkCodec, DecodedChunk
from dvla_ros.actions.normalization import DatasetStatistics, Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.flow import FlowDenoiser
from dvla_ros.denoising.flow_paths import embedding_distance
from dvla_ros.denoising.loop import Denoiser, LogitsFn
from dvla_ros.denoising.registry import make_decoder, override
from dvla_ros.errors import CheckpointError
from dvla_ros.models.networks import make_network
from dvla_ros.models.small_vla import SmallVla, SmallVlaConfig
from dvla_ros.policies.checkpoint import CheckpointConfig, read_config, read_statistics, read_weights
from dvla_ros.policies.coding import load_codec
from dvla_ros.policies.imagination import Imagination
from dvla_ros.policies.processor import ObservationProcessor
from dvla_ros.policies.token_system import ACTION, action_positions


class OpenedPolicy:
    """The parts of a `TokenPolicy`, on the CPU.

    Attributes:
        canvas: What is decoded.
        codec: The chunk's tokens, the last ones of the action segment, to actions.

    Args:
        config: What the checkpoint says.
        model: The network.
        statistics: Of the data it was trained on.
        codec: Chunk to tokens and back.
        imagination: The image tokenizer of a network that imagines the future.
    """

    def __init__(
        self,
        config: CheckpointConfig,
        model: SmallVla,
        statistics: DatasetStatistics,
        codec: ChunkCodec,
        imagination: Imagination | None,
    ) -> None:
        self.canvas, self.codec = model.config.canvas, codec
        self._model, self._settings, self._imagination = model.eval(), config.decoding, imagination
        state = Normalizer.from_statistics(statistics.proprio, "min_max")
        self._processor = ObservationProcessor(model.config.perception, config.cameras, state, torch.device("cpu"))

    @classmethod
    def from_checkpoint(cls, folder: Path) -> "OpenedPolicy":
        """Load a checkpoint folder.

        Raises:
            CheckpointError: The folder is not a usable checkpoint of a token system.
        """
        config = read_config(folder)
        if not isinstance(config.model, SmallVlaConfig):
            raise CheckpointError(f"{folder}: the actions of '{config.system}' are no tokens; name another checkpoint.")
        model = make_network(config.model)
        read_weights(folder, model)
        statistics = read_statistics(folder, config.spec)
        codec = load_codec(config.coding, statistics, config.model.horizon, action_positions(config.model), folder)
        imagination = Imagination.from_checkpoint(folder, config.cameras) if config.model.seen_segments else None
        return cls(config, model, statistics, codec, imagination)

    @torch.no_grad()
    def network(self, observation: Observation) -> LogitsFn:
        """Canvas to scores, after this observation.

        Raises:
            ObservationError: The observation is not usable.
        """
        inputs = self._processor(observation)
        seen = None if self._imagination is None else self._imagination.encode(inputs.images)
        prefix = self._model.prefill(inputs.images, inputs.text, inputs.state, seen)
        return lambda tokens: self._model.logits(prefix, tokens)

    def decoder(self, changes: Mapping[str, object]) -> Denoiser[Any]:
        """The checkpoint's decoder with some settings replaced, see `denoising.registry.override`."""
        decoder = make_decoder(override(self._settings, changes))
        if isinstance(decoder, FlowDenoiser):
            return decoder.with_distance(embedding_distance(self._model.token_table(ACTION)))
        return decoder

    def chunk(self, tokens: Tensor) -> DecodedChunk:
        """The chunk on a canvas int64 `[L]`."""
        return self.codec.decode(tokens[self.canvas.span(ACTION)][-self.codec.length :].numpy())
