"""The small networks of the token systems as a policy uses them: an observation to a prefix, a canvas to logits."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.normalization import DatasetStatistics, Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.state import Scores
from dvla_ros.engine.cache_plan import EXACT
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.engine.sequence_run import SequenceRun, open_run
from dvla_ros.errors import CheckpointError
from dvla_ros.models.key_value_cache import PrefixCache
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


@dataclass(frozen=True)
class SmallContext:
    """An observation as the network made it out, and the denoising steps over it."""

    prefix: Prefix
    run: SequenceRun


class SmallTokenNetwork:
    """A `BatchNetwork` of `SmallVla`.

    Attributes:
        cache: See `TokenNetwork`.
        graphs: Likewise.

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
        self.cache = EXACT
        self.graphs: StepGraphs | None = None

    @property
    def canvas(self) -> Canvas:
        """See `TokenNetwork`."""
        return self._canvas

    def prepare(self, observation: Observation) -> Inputs:
        """See `TokenNetwork`."""
        return self._processor(observation)

    def prefill(self, inputs: Inputs, frozen: np.ndarray) -> SmallContext:
        """See `TokenNetwork`."""
        return self.prefill_batch([inputs], [frozen])

    def alike(self, inputs: Inputs) -> Hashable:
        """See `BatchNetwork`: those with as many words."""
        return inputs.text.shape[1]

    def prefill_batch(self, inputs: Sequence[Inputs], frozen: Sequence[np.ndarray]) -> SmallContext:
        """See `BatchNetwork`."""
        together = Inputs.joined(inputs)
        seen = None if self._imagination is None else self._imagination.encode(together.images)
        moved = torch.from_numpy(np.stack([self._way.of(rows) for rows in frozen])).to(self._device)
        prefix = self.model.prefill(together.images, together.text, together.state, seen, moved)
        if self.model.config.attention == "full":
            settled, rest = PrefixCache(), prefix.tokens
        else:
            settled, rest = prefix.cache, prefix.tokens[:, :0]
        return SmallContext(prefix, open_run(self.model.trunk, settled, rest, self.cache, self.graphs))

    def logits(self, context: SmallContext, tokens: Tensor) -> Tensor | Scores:
        """See `TokenNetwork`."""
        embedded = self.model.embed_canvas(tokens)
        return self.model.read_canvas(context.run.hidden(embedded, self.model.canvas_mask))

    def token_table(self) -> Tensor:
        """See `TokenNetwork`."""
        return self.model.token_table(ACTION)

    def imagined(self, context: SmallContext, tokens: np.ndarray) -> Mapping[str, np.ndarray]:
        """See `TokenNetwork`."""
        return {} if self._imagination is None else self._imagination.images(tokens, self._canvas)

    def keypoints(self, context: SmallContext, row: int = 0) -> Mapping[str, np.ndarray]:
        """See `TokenNetwork`."""
        found = context.prefix.percept.positions[row, :, :2].cpu().numpy()
        return dict(zip(self._cameras, found, strict=True))
