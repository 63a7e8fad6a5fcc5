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
from dvla_ros.actions.fast_chunk_codec import FastChunkCodec
from dvla_ros.actions.gripper import GripperConvention, convert_gripper, trained_gripper
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.flow import FlowDenoiser
from dvla_ros.denoising.flow_paths import embedding_distance
from dvla_ros.denoising.jacobi import JacobiDenoiser
from dvla_ros.denoising.loop import Denoiser, DenoisingResult, LogitsFn, denoise
from dvla_ros.denoising.registry import make_decoder, override
from dvla_ros.denoising.state import Scores
from dvla_ros.policies.base import CanvasPart, DenoisingStep, Guess, PolicySpec, Prediction, Timings
from dvla_ros.policies.coding import is_time_local, load_codec
from dvla_ros.policies.device_memory import within_device_memory
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.policies.row_guidance import RowGuidance, has_coefficients
from dvla_ros.policies.row_tokens import RowTokens
from dvla_ros.policies.small_token_network import SmallCheckpoint
from dvla_ros.policies.token_network import TokenNetwork
from dvla_ros.policies.token_system import ACTION, action_positions

GUESS_SHARE = 0.1
"""A guessed token is dropped where the likeliest one is more than ten times as probable by now."""


class TokenPolicy:
    """Observation to chunk for Discrete Diffusion VLA, UD-VLA, LLaDA-VLA and DFM-VLA.

    Not thread-safe; one caller at a time.

    Args:
        spec: What it needs and gives.
        network: The network, with all that belongs to reading an observation.
        codec: Chunk to tokens and back.
        decoding: Settings of the decoder, see `denoising.registry`.
        gripper: What the network's gripper numbers mean; None where they are the robot's own, 0 closed .. 1 open.
        device: Where the network runs.
    """

    def __init__(
        self,
        spec: PolicySpec,
        network: TokenNetwork,
        codec: ChunkCodec,
        decoding: Mapping[str, object],
        gripper: GripperConvention | None = None,
        device: str = "cpu",
    ) -> None:
        self.spec = spec
        self.network = network
        self.device = torch.device(device)
        self._codec, self._gripper = codec, gripper
        self._canvas = network.canvas
        self._denoiser = self._with_metric(make_decoder(decoding))
        self._rows = RowTokens(codec, self._canvas)
        self._guidance = self._row_guidance()
        self._parts = tuple(CanvasPart(s.name, s.steps, s.dims) for s in self._canvas.segments)
        self._seeds = np.random.default_rng()

    @classmethod
    def from_checkpoint(
        cls, folder: Path, device: str = "cpu", overrides: Mapping[str, object] | None = None
    ) -> "TokenPolicy":
        """Load a checkpoint folder of this repository; `overrides` replaces settings of the decoder by name.

        Raises:
            CheckpointError: The folder is not a usable checkpoint.
            ConfigurationError: An override is unknown or out of range.
        """
        checkpoint = SmallCheckpoint.read(folder)
        config, sizes = checkpoint.config, checkpoint.sizes
        codec = load_codec(config.coding, checkpoint.statistics, sizes.horizon, action_positions(sizes), folder)
        decoding = override(config.decoding, overrides or {})
        network = checkpoint.network(torch.device(device))
        return cls(config.spec, network, codec, decoding, device=device)

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
        warm_start: Guess | None = None,
        needed_steps: int | None = None,
    ) -> Prediction:
        """Infer a chunk; see `policies.base.Policy.predict`.

        Where each number has a token of its own, frozen rows are tokens of the canvas that no step changes. A FAST
        token is a coefficient of the whole chunk: there `RowGuidance` leads the decoding to a chunk that passes through
        the frozen rows. In either case the answer holds these rows as they were given, and the number of denoising
        steps falls with the numbers that they give, where the decoder's `adaptive_steps` is set.
        """
        request = ChunkRequest.checked(self.spec, frozen_actions, seed, deadline_s, warm_start, needed_steps)
        return within_device_memory(self.device, lambda: self._predict(observation, request))

    def _in_trained_units(self, request: ChunkRequest) -> ChunkRequest:
        """The request with the gripper as the network was taught it."""
        if self._gripper is None:
            return request
        guess = request.guess
        if guess is not None:
            guess = replace(guess, actions=trained_gripper(guess.actions, self._gripper))
        return replace(request, frozen=trained_gripper(request.frozen, self._gripper), guess=guess)

    def _predict(self, observation: Observation, request: ChunkRequest) -> Prediction:
        started = time.perf_counter()
        inputs = self.network.prepare(observation)
        prepared = time.perf_counter()
        asked = self._in_trained_units(request)
        prefix = self._prefill(inputs, asked.frozen)
        prefilled = time.perf_counter()
        result = denoise(
            self._logits(prefix, asked.frozen),
            self._canvas_around(asked.frozen),
            self._denoiser,
            seeds=[int(self._seeds.integers(2**31)) if request.seed is None else request.seed],
            frozen_tokens=self._rows.frozen(asked.frozen),
            warm_start=self._rows.guess(asked),
            guess_share=None if self._looks_back else GUESS_SHARE,
            needed=self._rows.needed(request.needed_steps),
            deadline_s=None if request.deadline_s is None else max(0.0, request.deadline_s - (prefilled - started)),
            device=self.device,
        )
        denoised = time.perf_counter()
        prediction = self._prediction(result, prefix, request.frozen)
        timings = Timings(
            prepared - started, prefilled - prepared, denoised - prefilled, time.perf_counter() - denoised
        )
        return replace(prediction, timings=timings)

    @property
    def _looks_back(self) -> bool:
        """Whether the decoder decides every token again in every step, a guessed one too."""
        return isinstance(self._denoiser, FlowDenoiser | JacobiDenoiser)

    def _logits(self, prefix: Any, frozen: np.ndarray) -> LogitsFn:
        """Tokens to logits; guided where rows are frozen that no token stands for."""

        def network(tokens: Tensor) -> Tensor | Scores:
            return self.network.logits(prefix, tokens)

        if len(frozen) == 0 or self._guidance is None:
            return network
        return self._guidance.through(frozen, network)

    def _canvas_around(self, frozen: np.ndarray) -> Canvas:
        """The canvas, which knows how many numbers guidance gives."""
        return self._canvas if self._guidance is None else replace(self._canvas, determined=frozen.size)

    def _row_guidance(self) -> RowGuidance | None:
        codec = self._codec
        if not isinstance(codec, FastChunkCodec) or not has_coefficients(codec):
            return None
        return RowGuidance(codec, self._rows.positions, final=not self._looks_back, device=self.device)

    def _prefill(self, inputs: Any, frozen: np.ndarray) -> Any:
        prefix = self.network.prefill(inputs, frozen)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return prefix

    def _with_metric(self, denoiser: Denoiser[Any]) -> Denoiser[Any]:
        """Discrete flow matching moves along distances between token embeddings (DFM-VLA, "Embed")."""
        if not isinstance(denoiser, FlowDenoiser):
            return denoiser
        return denoiser.with_distance(embedding_distance(self.network.token_table()))

    def _prediction(self, result: DenoisingResult, prefix: Any, frozen: np.ndarray) -> Prediction:
        span, own = self._canvas.span(ACTION), self._rows.positions
        tokens = result.tokens[0].cpu().numpy()
        chunk = self._codec.decode(tokens[own])
        actions = chunk.actions.copy()
        if self._gripper is not None:
            actions = convert_gripper(actions, self._gripper)
        if chunk.usable:
            actions[: len(frozen)] = frozen
        part = next(part for part in self._parts if part.name == ACTION)
        return Prediction(
            actions=actions,
            tokens=tokens[span].reshape(part.rows, part.columns).astype(np.int32),
            confidence=self._per_number(result.confidence[0, own].cpu().numpy(), len(frozen)),
            trace=tuple(DenoisingStep(**step.arrays(0)) for step in result.trace),
            mask_token=self._canvas.mask_token,
            nfe=result.nfe,
            timings=Timings(0.0, 0.0, 0.0, 0.0),
            canvas=self._parts,
            malformed=chunk.reason,
            imagined_images=self.network.imagined(prefix, tokens),
            keypoints=self.network.keypoints(prefix),
            frozen_steps=len(frozen),
            decided_steps=self._rows.decided_steps(result.filled[0].cpu().numpy(), len(frozen)),
        )

    def _per_number(self, confidence: np.ndarray, frozen_steps: int) -> np.ndarray:
        """Of every number, float32 `[H, D]`, from that of the chunk's tokens."""
        shape = (self.spec.horizon, len(self.spec.action_names))
        if is_time_local(self._codec):
            return confidence.reshape(shape)
        numbers = np.full(shape, confidence.mean(), dtype=np.float32)
        numbers[:frozen_steps] = 1.0
        return numbers
