"""The small networks of the token systems as a policy uses them: an observation to a prefix, a canvas to logits."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.normalization import DatasetStatistics, Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.state import Scores
from dvla_ros.errors import CheckpointError
from dvla_ros.models.networks import make_network
from dvla_ros.models.small_vla import Prefix, SmallVla, SmallVlaConfig
from dvla_ros.policies.checkpoint import CheckpointConfig, read_config, read_statistics, read_weights
from dvla_ros.policies.frozen_way import FrozenWay
from dvla_ros.policies.imagination import Imagination
from dvla_ros.policies.processor import Inputs, ObservationProcessor
from dvla_ros.policies.token_system import ACTION


@dataclass(frozen=True)
class SmallCheckpoint:
    """A checkpoint of this repository's small token systems, read.

    Attributes:
        config: What it says of itself.
        sizes: Of its network.
        model: The network with its weights.
        statistics: Of the data it was trained on.
        imagination: The image tokenizer of a network that imagines the future.
    """

    config: CheckpointConfig
    sizes: SmallVlaConfig
    model: SmallVla
    statistics: DatasetStatistics
    imagination: Imagination | None

    @classmethod
    def read(cls, folder: Path) -> "SmallCheckpoint":
        """Load a checkpoint folder.

        Raises:
            CheckpointError: The folder is not a usable checkpoint of a token system.
        """
        config = read_config(folder)
        sizes = config.model
        if not isinstance(sizes, SmallVlaConfig):
            raise CheckpointError(f"{folder}: the actions of '{config.system}' are no tokens; name another checkpoint.")
        model = make_network(sizes)
        read_weights(folder, model)
        statistics = read_statistics(folder, config.spec)
        imagination = Imagination.from_checkpoint(folder, config.cameras) if sizes.seen_segments else None
        return cls(config, sizes, model, statistics, imagination)

    def network(self, device: torch.device) -> "SmallTokenNetwork":
        """The network for inference on a device."""
        return SmallTokenNetwork(self.config, self.model, self.statistics, self.imagination, device)


class SmallTokenNetwork:
    """A `TokenNetwork` of `SmallVla`.

    Args:
        config: What the checkpoint says.
        model: The network.
        statistics: Of the data it was trained on.
        imagination: The image tokenizer of a network that imagines the future.
        device: Where it runs.
    """

    def __init__(
        self,
        config: CheckpointConfig,
        model: SmallVla,
        statistics: DatasetStatistics,
        imagination: Imagination | None,
        device: torch.device,
    ) -> None:
        self.model = model.to(device).eval()
        self.model.trunk.pack()
        self._cameras, self._device, self._imagination = config.cameras, device, imagination
        state = Normalizer.from_statistics(statistics.proprio, "min_max")
        self._way = FrozenWay(state)
        self._processor = ObservationProcessor(model.config.perception, config.cameras, state, device)
        self._canvas = model.config.canvas

    @property
    def canvas(self) -> Canvas:
        """See `TokenNetwork`."""
        return self._canvas

    def prepare(self, observation: Observation) -> Inputs:
        """See `TokenNetwork`."""
        return self._processor(observation)

    def prefill(self, inputs: Inputs, frozen: np.ndarray) -> Prefix:
        """See `TokenNetwork`."""
        seen = None if self._imagination is None else self._imagination.encode(inputs.images)
        moved = torch.from_numpy(self._way.of(frozen)).to(self._device)
        return self.model.prefill(inputs.images, inputs.text, inputs.state, seen, moved[None])

    def logits(self, context: Prefix, tokens: Tensor) -> Tensor | Scores:
        """See `TokenNetwork`."""
        return self.model.logits(context, tokens)

    def token_table(self) -> Tensor:
        """See `TokenNetwork`."""
        return self.model.token_table(ACTION)

    def imagined(self, context: Prefix, tokens: np.ndarray) -> Mapping[str, np.ndarray]:
        """See `TokenNetwork`."""
        return {} if self._imagination is None else self._imagination.images(tokens, self._canvas)

    def keypoints(self, context: Prefix) -> Mapping[str, np.ndarray]:
        """See `TokenNetwork`."""
        found = context.percept.positions[0, :, :2].cpu().numpy()
        return dict(zip(self._cameras, found, strict=True))
