"""The policy of every system whose actions are tokens: prefix once, then denoising steps over a canvas."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.chunk_codec import ChunkCodec
from dvla_ros.actions.normalization import DatasetStatistics, Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import FREE
from dvla_ros.denoising.flow import FlowDenoiser
from dvla_ros.denoising.flow_paths import embedding_distance
from dvla_ros.denoising.loop import Denoiser, DenoisingResult, denoise
from dvla_ros.denoising.registry import make_decoder, override
from dvla_ros.errors import ActionError, CheckpointError
from dvla_ros.models.networks import make_network
from dvla_ros.models.small_vla import Prefix, SmallVla, SmallVlaConfig
from dvla_ros.policies.base import CanvasPart, DenoisingStep, Prediction, Timings
from dvla_ros.policies.checkpoint import CheckpointConfig, read_config, read_statistics, read_weights
from dvla_ros.policies.coding import is_time_local, load_codec
from dvla_ros.policies.imagination import Imagination
from dvla_ros.policies.processor import Inputs, ObservationProcessor
from dvla_ros.policies.token_system import ACTION, action_positions


class TokenPolicy:
    """Observation to chunk for Discrete Diffusion VLA, UD-VLA, LLaDA-VLA and DFM-VLA.

    Not thread-safe; one caller at a time.

    Args:
        config: What the checkpoint says.
        model: The network.
        statistics: Of the data it was trained on.
        codec: Chunk to tokens and back.
        imagination: The image tokenizer of a network that imagines the future.
        decoding: Settings of the decoder that replace the checkpoint's.
        device: Where the network runs.
    """

    def __init__(
        self,
        config: CheckpointConfig,
        model: SmallVla,
        statistics: DatasetStatistics,
        codec: ChunkCodec,
        imagination: Imagination | None = None,
        decoding: Mapping[str, object] | None = None,
        device: str = "cpu",
    ) -> None:
        assert isinstance(config.model, SmallVlaConfig)
        self.spec = config.spec
        self.device = torch.device(device)
        self._model = model.to(self.device).eval()
        self._model.trunk.pack()
        self._codec = codec
        self._imagination = imagination
        self._canvas = config.model.canvas
        self._denoiser = self._with_metric(make_decoder(override(config.decoding, decoding or {})))
        state = Normalizer.from_statistics(statistics.proprio, "min_max")
        self._processor = ObservationProcessor(config.model.perception, config.cameras, state, self.device)
        self._parts = tuple(CanvasPart(s.name, s.steps, s.dims) for s in self._canvas.segments)
        self._seeds = np.random.default_rng()

    @classmethod
    def from_checkpoint(
        cls, folder: Path, device: str = "cpu", overrides: Mapping[str, object] | None = None
    ) -> "TokenPolicy":
        """Load a checkpoint folder; `overrides` replaces settings of the decoder by name.

        Raises:
            CheckpointError: The folder is not a usable checkpoint.
            ConfigurationError: An override is unknown or out of range.
        """
        config = read_config(folder)
        if not isinstance(config.model, SmallVlaConfig):
            raise CheckpointError(f"{folder}: the system '{config.system}' needs a network 'small_vla'.")
        model = make_network(config.model)
        read_weights(folder, model)
        statistics = read_statistics(folder, config.spec)
        codec = load_codec(config.coding, statistics, config.model.horizon, action_positions(config.model), folder)
        imagination = Imagination.from_checkpoint(folder, config.cameras) if config.model.seen_segments else None
        return cls(config, model, statistics, codec, imagination, overrides, device)

    def reset(self) -> None:
        """Nothing is remembered between chunks."""

    @torch.no_grad()
    def predict(
        self,
        observation: Observation,
        *,
        frozen_actions: np.ndarray | None = None,
        seed: int | None = None,
        deadline_s: float | None = None,
    ) -> Prediction:
        """Infer a chunk; see `policies.base.Policy.predict`.

        Rows can be frozen exactly where each number has a token of its own. A FAST token is a coefficient of the whole
        chunk: there the frozen rows replace the decoded ones.
        """
        started = time.perf_counter()
        inputs = self._processor(observation)
        frozen = self._frozen(frozen_actions)
        prepared = time.perf_counter()
        prefix = self._prefill(inputs)
        prefilled = time.perf_counter()
        result = denoise(
            lambda tokens: self._model.logits(prefix, tokens),
            self._canvas,
            self._denoiser,
            seeds=[int(self._seeds.integers(2**31)) if seed is None else seed],
            frozen_tokens=frozen,
            deadline_s=None if deadline_s is None else max(0.0, deadline_s - (prefilled - started)),
            device=self.device,
        )
        denoised = time.perf_counter()
        prediction = self._prediction(result, prefix, frozen_actions)
        timings = Timings(
            prepared - started, prefilled - prepared, denoised - prefilled, time.perf_counter() - denoised
        )
        return replace(prediction, timings=timings)

    def _prefill(self, inputs: Inputs) -> Prefix:
        seen = None if self._imagination is None else self._imagination.encode(inputs.images)
        prefix = self._model.prefill(inputs.images, inputs.text, inputs.state, seen)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return prefix

    def _with_metric(self, denoiser: Denoiser[Any]) -> Denoiser[Any]:
        """Discrete flow matching moves along distances between token embeddings (DFM-VLA, "Embed")."""
        if not isinstance(denoiser, FlowDenoiser):
            return denoiser
        return denoiser.with_distance(embedding_distance(self._model.token_table(ACTION)))

    def _frozen(self, actions: np.ndarray | None) -> Tensor | None:
        if actions is None or len(actions) == 0:
            return None
        if len(actions) > self.spec.horizon:
            raise ActionError(f"At most {self.spec.horizon} actions can be frozen, got {len(actions)}.")
        if not is_time_local(self._codec):
            return None
        missing = self.spec.horizon - len(actions)
        tokens = self._codec.encode(np.concatenate([actions, np.repeat(actions[-1:], missing, axis=0)]))
        frozen = torch.full((1, self._canvas.length), FREE, dtype=torch.int64, device=self.device)
        begin = self._canvas.span(ACTION).stop - self._codec.length
        known = len(actions) * self._codec.dim
        frozen[0, begin : begin + known] = torch.from_numpy(tokens[:known]).to(self.device)
        return frozen

    def _prediction(self, result: DenoisingResult, prefix: Prefix, frozen_actions: np.ndarray | None) -> Prediction:
        span = self._canvas.span(ACTION)
        tokens = result.tokens[0].cpu().numpy()
        confidence = result.confidence[0, span][-self._codec.length :].cpu().numpy()
        chunk = self._codec.decode(tokens[span][-self._codec.length :])
        actions = chunk.actions.copy()
        if frozen_actions is not None and not is_time_local(self._codec):
            actions[: len(frozen_actions)] = frozen_actions
        part = next(part for part in self._parts if part.name == ACTION)
        keypoints = prefix.percept.positions[0, :, :2].cpu().numpy()
        return Prediction(
            actions=actions,
            tokens=tokens[span].reshape(part.rows, part.columns).astype(np.int32),
            confidence=self._per_number(confidence),
            trace=tuple(DenoisingStep(**step.arrays(0)) for step in result.trace),
            mask_token=self._canvas.mask_token,
            nfe=result.nfe,
            timings=Timings(0.0, 0.0, 0.0, 0.0),
            canvas=self._parts,
            malformed=chunk.reason,
            imagined_images={} if self._imagination is None else self._imagination.images(tokens, self._canvas),
            keypoints=dict(zip(self.spec.cameras, keypoints, strict=True)),
        )

    def _per_number(self, confidence: np.ndarray) -> np.ndarray:
        shape = (self.spec.horizon, len(self.spec.action_names))
        if is_time_local(self._codec):
            return confidence.reshape(shape)
        return np.full(shape, confidence.mean(), dtype=np.float32)
