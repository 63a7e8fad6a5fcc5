"""The policy of every system whose actions are tokens: prefix once, then denoising steps over a canvas."""

import time
from collections.abc import Hashable, Mapping, Sequence
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
from dvla_ros.engine.cache_plan import EXACT, CachePlan
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.errors import DvlaError
from dvla_ros.policies.base import CanvasPart, DenoisingStep, Guess, PolicySpec, Prediction, Timings
from dvla_ros.policies.batching import Answer
from dvla_ros.policies.coding import is_time_local, load_codec
from dvla_ros.policies.device_memory import within_device_memory
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.policies.row_guidance import RowGuidance, has_coefficients
from dvla_ros.policies.row_tokens import RowTokens
from dvla_ros.policies.small_token_network import SmallCheckpoint
from dvla_ros.policies.token_batch import Asked, frozen_tokens, warm_start
from dvla_ros.policies.token_network import BatchNetwork, TokenNetwork
from dvla_ros.policies.token_system import ACTION, action_positions

GUESS_SHARE = 0.1
"""A guessed token is dropped where the likeliest one is more than ten times as probable by now."""

ASK_EVERY = 4
"""On a GPU, denoising steps between two questions whether decoding is over: to ask is to wait, and the GPU with it."""


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
        cache: What a denoising step keeps of the one before.
        graphs: Whether denoising steps are captured in CUDA graphs; None: on a GPU.
    """

    def __init__(
        self,
        spec: PolicySpec,
        network: TokenNetwork,
        codec: ChunkCodec,
        decoding: Mapping[str, object],
        gripper: GripperConvention | None = None,
        device: str = "cpu",
        cache: CachePlan = EXACT,
        graphs: bool | None = None,
    ) -> None:
        self.spec = spec
        self.device = torch.device(device)
        network.cache, network.graphs = cache, StepGraphs.on(self.device, graphs)
        self.network = network
        self._codec, self._gripper = codec, gripper
        self._canvas = network.canvas
        self._denoiser = self._with_metric(make_decoder(decoding))
        self._rows = RowTokens(codec, self._canvas)
        self._guidance = self._row_guidance()
        self._parts = tuple(CanvasPart(s.name, s.steps, s.dims) for s in self._canvas.segments)
        self._seeds = np.random.default_rng()

    @classmethod
    def from_checkpoint(
        cls,
        folder: Path,
        device: str = "cpu",
        overrides: Mapping[str, object] | None = None,
        cache: CachePlan = EXACT,
        graphs: bool | None = None,
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
        return cls(config.spec, network, codec, decoding, device=device, cache=cache, graphs=graphs)

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

    @torch.no_grad()
    def predict_batch(self, observations: Sequence[Observation], requests: Sequence[ChunkRequest]) -> list[Answer]:
        """Infer a chunk for each observation; see `policies.batching.BatchPolicy.predict_batch`.

        One prefill and one run of the decoder for those that are alike: with as many words, a guess or none, and the
        same rows needed; where guidance leads the decoding, with as many frozen rows.
        """
        answers: dict[int, Answer] = {}
        alike: dict[Hashable, dict[int, Asked]] = {}
        for index, (observation, request) in enumerate(zip(observations, requests, strict=True)):
            try:
                asked = self._asked(observation, request)
            except DvlaError as error:
                answers[index] = error
            else:
                alike.setdefault(self._kind(index, asked), {})[index] = asked
        for group in alike.values():
            answers |= zip(group, self._answers_or_errors(list(group.values())), strict=True)
        return [answers[index] for index in range(len(observations))]

    def _kind(self, index: int, asked: Asked) -> Hashable:
        if not isinstance(self.network, BatchNetwork):
            return index
        return asked.kind(self.network.alike(asked.inputs), self._guidance is not None)

    def _answers_or_errors(self, asked: Sequence[Asked]) -> Sequence[Answer]:
        """One after the other where together they fail, so that each gets its own error."""
        try:
            return within_device_memory(self.device, lambda: self._answers(asked))
        except DvlaError as error:
            if len(asked) == 1:
                return [error]
        return [answer for each in asked for answer in self._answers_or_errors([each])]

    def _predict(self, observation: Observation, request: ChunkRequest) -> Prediction:
        return self._answers([self._asked(observation, request)])[0]

    def _asked(self, observation: Observation, request: ChunkRequest) -> Asked:
        started = time.perf_counter()
        inputs = self.network.prepare(observation)
        return Asked(inputs, request, self._in_trained_units(request), time.perf_counter() - started)

    def _answers(self, asked: Sequence[Asked]) -> list[Prediction]:
        """Of questions of one kind."""
        first = asked[0].request
        started = time.perf_counter() - sum(each.prepared_s for each in asked)
        begun = time.perf_counter()
        prefix = self._prefill(asked)
        prefilled = time.perf_counter()
        frozen = [each.trained.frozen for each in asked]
        result = denoise(
            self._logits(prefix, frozen),
            self._canvas_around(frozen[0]),
            self._denoiser,
            seeds=[self._seed(each.request) for each in asked],
            frozen_tokens=frozen_tokens(self._rows, asked),
            warm_start=warm_start(self._rows, asked),
            guess_share=None if self._looks_back else GUESS_SHARE,
            needed=self._rows.needed(first.needed_steps),
            deadline_s=None if first.deadline_s is None else max(0.0, first.deadline_s - (prefilled - started)),
            ask_every=1 if self.device.type == "cpu" else ASK_EVERY,
            device=self.device,
        )
        denoised = time.perf_counter()
        answers = []
        for row, each in enumerate(asked):
            decoding = time.perf_counter()
            answer = self._prediction(result, row, prefix, each.request.frozen)
            spent = each.prepared_s, prefilled - begun, denoised - prefilled, time.perf_counter() - decoding
            answers.append(replace(answer, timings=Timings(*spent)))
        return answers

    def _seed(self, request: ChunkRequest) -> int:
        return int(self._seeds.integers(2**31)) if request.seed is None else request.seed

    @property
    def _looks_back(self) -> bool:
        """Whether the decoder decides every token again in every step, a guessed one too."""
        return isinstance(self._denoiser, FlowDenoiser | JacobiDenoiser)

    def _logits(self, prefix: Any, frozen: Sequence[np.ndarray]) -> LogitsFn:
        """Tokens to logits; guided where rows are frozen that no token stands for, as many of each chunk."""

        def network(tokens: Tensor) -> Tensor | Scores:
            return self.network.logits(prefix, tokens)

        if len(frozen[0]) == 0 or self._guidance is None:
            return network
        return self._guidance.through(np.stack(frozen), network)

    def _canvas_around(self, frozen: np.ndarray) -> Canvas:
        """The canvas, which knows how many numbers guidance gives."""
        return self._canvas if self._guidance is None else replace(self._canvas, determined=frozen.size)

    def _row_guidance(self) -> RowGuidance | None:
        codec = self._codec
        if not isinstance(codec, FastChunkCodec) or not has_coefficients(codec):
            return None
        return RowGuidance(codec, self._rows.positions, final=not self._looks_back, device=self.device)

    def _prefill(self, asked: Sequence[Asked]) -> Any:
        if len(asked) == 1:
            prefix = self.network.prefill(asked[0].inputs, asked[0].trained.frozen)
        else:
            assert isinstance(self.network, BatchNetwork)
            frozen = [each.trained.frozen for each in asked]
            prefix = self.network.prefill_batch([each.inputs for each in asked], frozen)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return prefix

    def _with_metric(self, denoiser: Denoiser[Any]) -> Denoiser[Any]:
        """Discrete flow matching moves along distances between token embeddings (DFM-VLA, "Embed")."""
        if not isinstance(denoiser, FlowDenoiser):
            return denoiser
        return denoiser.with_distance(embedding_distance(self.network.token_table()))

    def _prediction(self, result: DenoisingResult, row: int, prefix: Any, frozen: np.ndarray) -> Prediction:
        span, own = self._canvas.span(ACTION), self._rows.positions
        tokens = result.tokens[row].cpu().numpy()
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
            confidence=self._per_number(result.confidence[row, own].cpu().numpy(), len(frozen)),
            trace=tuple(DenoisingStep(**step.arrays(row)) for step in result.trace),
            mask_token=self._canvas.mask_token,
            nfe=result.nfe,
            timings=Timings(0.0, 0.0, 0.0, 0.0),
            canvas=self._parts,
            malformed=chunk.reason,
            imagined_images=self.network.imagined(prefix, tokens),
            keypoints=self.network.keypoints(prefix, row),
            frozen_steps=len(frozen),
            decided_steps=self._rows.decided_steps(result.filled[row].cpu().numpy(), len(frozen)),
        )

    def _per_number(self, confidence: np.ndarray, frozen_steps: int) -> np.ndarray:
        """Of every number, float32 `[H, D]`, from that of the chunk's tokens."""
        shape = (self.spec.horizon, len(self.spec.action_names))
        if is_time_local(self._codec):
            return confidence.reshape(shape)
        numbers = np.full(shape, confidence.mean(), dtype=np.float32)
        numbers[:frozen_steps] = 1.0
        return numbers
