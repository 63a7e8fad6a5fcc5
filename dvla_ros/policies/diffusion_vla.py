"""DiffusionVLA (arXiv 2412.03293): say what is to be done, then draw the chunk from noise, given what was said."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.normalization import DatasetStatistics, Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.schedules import steps_for
from dvla_ros.errors import ActionError, CheckpointError, ConfigurationError
from dvla_ros.models.ddim import DdimConfig, sample_chunk
from dvla_ros.models.networks import make_network
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.small_divla import Answer, Prompt, SmallDivla, SmallDivlaConfig
from dvla_ros.policies.base import Guess, Prediction, Timings
from dvla_ros.policies.checkpoint import CheckpointConfig, read_config, read_statistics, read_weights
from dvla_ros.policies.coding import ActionCoding
from dvla_ros.policies.ddim_decoding import ddim_decoding
from dvla_ros.policies.device_memory import within_device_memory
from dvla_ros.policies.processor import Inputs, ObservationProcessor
from dvla_ros.policies.reasoning_text import ReasoningTokenizer
from dvla_ros.policies.request import ChunkRequest


@dataclass(frozen=True)
class DiffusionSystem:
    """The published system whose actions are numbers, at small size.

    Attributes:
        name: As a checkpoint names it.
        coding: What stands for an action.
        decoding: Default settings, see `DdimDecoding`.
        horizon: Rows of a chunk, H.
        execute_steps: Rows to execute before looking again.
    """

    name: str
    coding: ActionCoding
    decoding: Mapping[str, object]
    horizon: int = 8
    execute_steps: int = 3

    def network(
        self, action_dim: int, perception: PerceptionConfig, tokenizer: ReasoningTokenizer | None, **sizes: Any
    ) -> SmallDivlaConfig:
        """The network, other `sizes` (heads, layers, head, ...) as given; without a tokenizer it does not reason."""
        return SmallDivlaConfig(
            perception=perception,
            horizon=self.horizon,
            action_dim=action_dim,
            vocabulary=0 if tokenizer is None else tokenizer.vocabulary,
            **{"using_film": tokenizer is not None, **sizes},
        )


DIFFUSION_VLA = DiffusionSystem(
    name="diffusion_vla",
    coding=ActionCoding("continuous", bounds="min_max", whole_row=True),
    decoding={"decoder": "ddim", "num_steps": 10},
)


class DiffusionPolicy:
    """Observation to reasoning to chunk.

    Not thread-safe; one caller at a time.

    Args:
        config: What the checkpoint says.
        model: The network.
        statistics: Of the data it was trained on.
        tokenizer: Of the reasoning; None for a network without words.
        decoding: Settings of the decoder that replace the checkpoint's.
        device: Where the network runs.

    Raises:
        ConfigurationError: A setting is unknown or out of range.
    """

    def __init__(
        self,
        config: CheckpointConfig,
        model: SmallDivla,
        statistics: DatasetStatistics,
        tokenizer: ReasoningTokenizer | None,
        decoding: Mapping[str, object] | None = None,
        device: str = "cpu",
    ) -> None:
        sizes = model.config
        self.spec = config.spec
        self.device = torch.device(device)
        self._model = model.to(self.device).eval()
        self._model.trunk.pack()
        self._tokenizer = tokenizer
        settings = ddim_decoding({**config.decoding, **(decoding or {})})
        ddim = sizes.ddim(settings.num_steps, settings.clip_sample, settings.resamplings)
        self._ddim: DdimConfig = replace(ddim, warm_start_time=settings.warm_start_time)
        self._adaptive_steps = settings.adaptive_steps
        self._reasons = settings.reason and tokenizer is not None
        self._max_tokens = _checked_length(settings.max_reasoning_tokens, sizes)
        self._actions = config.coding.normalizer(statistics)
        state = Normalizer.from_statistics(statistics.proprio, "min_max")
        self._processor = ObservationProcessor(sizes.perception, config.cameras, state, self.device)
        self._seeds = np.random.default_rng()

    @classmethod
    def from_checkpoint(
        cls, folder: Path, device: str = "cpu", overrides: Mapping[str, object] | None = None
    ) -> "DiffusionPolicy":
        """Load a checkpoint folder; `overrides` replaces settings of the decoder by name.

        Raises:
            CheckpointError: The folder is not a usable checkpoint.
            ConfigurationError: An override is unknown or out of range.
        """
        config = read_config(folder)
        if not isinstance(config.model, SmallDivlaConfig):
            raise CheckpointError(f"{folder}: the system '{config.system}' needs a network 'small_divla'.")
        model = make_network(config.model)
        read_weights(folder, model)
        statistics = read_statistics(folder, config.spec)
        return cls(config, model, statistics, _read_tokenizer(folder, config.model), overrides, device)

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

        The reasoning is greedy, so that `seed` only draws the chunk. At the deadline it breaks off where it is, and
        the chunk is what the denoising step then running makes of it; one step always runs. `nfe` counts the words
        that were run through the trunk and the denoising steps, `prefill_s` includes the reasoning.

        All rows become clear together: `needed_steps` saves nothing, and `decided_steps` is H, or only the frozen ones
        where the deadline came before the last step. Frozen rows are put in before every step, at its noise level; with
        `adaptive_steps` there are fewer steps in proportion.
        """
        request = ChunkRequest.checked(self.spec, frozen_actions, seed, deadline_s, warm_start, needed_steps)
        return within_device_memory(self.device, lambda: self._predict(observation, request))

    def _predict(self, observation: Observation, request: ChunkRequest) -> Prediction:
        started = time.perf_counter()
        inputs = self._processor(observation)
        prepared = time.perf_counter()
        until = request.deadline_s
        prompt = self._model.prefill(inputs.images, inputs.text, inputs.state)
        answer = self._reason(prompt, lambda: until is not None and time.perf_counter() - started >= until)
        condition = self._condition(prompt, answer, inputs)
        reasoned = time.perf_counter()
        remaining = None if until is None else max(0.0, until - (reasoned - started))
        chunk = self._draw(condition, request, remaining)
        drawn = time.perf_counter()
        prediction = self._prediction(chunk, prompt, answer)
        timings = Timings(prepared - started, reasoned - prepared, drawn - reasoned, time.perf_counter() - drawn)
        frozen = len(request.frozen)
        decided = self.spec.horizon if chunk.complete else frozen
        return replace(prediction, timings=timings, frozen_steps=frozen, decided_steps=decided)

    def _reason(self, prompt: Prompt, late: Callable[[], bool]) -> Answer | None:
        if self._tokenizer is None or not self._reasons:
            return None
        return self._model.reason(prompt, self._tokenizer.end, self._max_tokens, late)

    def _condition(self, prompt: Prompt, answer: Answer | None, inputs: Inputs) -> Tensor:
        condition = self._model.encode_condition(self._model.condition(prompt, answer), inputs.state)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return condition

    def _draw(self, condition: Tensor, request: ChunkRequest, remaining_s: float | None) -> "_Drawn":
        shape = (self.spec.horizon, len(self.spec.action_names))
        seed = int(self._seeds.integers(2**31)) if request.seed is None else request.seed
        frozen, guess = request.frozen, request.guessed_chunk()
        try:
            chunk = sample_chunk(
                self._model.policy_head,
                condition,
                shape,
                [seed],
                config=self._ddim_around(len(frozen)),
                frozen=self._normalized(frozen) if len(frozen) else None,
                guess=None if guess is None else self._normalized(guess),
                deadline_s=remaining_s,
            )
        except ActionError as error:
            return _Drawn(np.full(shape, np.nan, dtype=np.float32), 0, False, str(error))
        actions = self._actions.unnormalize(chunk.actions[0].cpu().numpy()).astype(np.float32)
        actions[: len(frozen)] = frozen  # exactly, also where normalising had clipped them
        return _Drawn(actions, chunk.nfe, chunk.complete, "")

    def _ddim_around(self, frozen_steps: int) -> DdimConfig:
        """The diffusion, in fewer steps where rows are given."""
        if not self._adaptive_steps:
            return self._ddim
        horizon = self.spec.horizon
        steps = steps_for(self._ddim.inference_steps, horizon - frozen_steps, horizon)
        return replace(self._ddim, inference_steps=steps)

    def _normalized(self, rows: np.ndarray) -> Tensor:
        """Physical `[n, D]` as `[1, n, D]` on the device."""
        return torch.from_numpy(self._actions.normalize(rows)).float().unsqueeze(0).to(self.device)

    def _prediction(self, chunk: "_Drawn", prompt: Prompt, answer: Answer | None) -> Prediction:
        said = "" if answer is None or self._tokenizer is None else self._tokenizer.decode(answer.tokens[0].tolist())
        keypoints = prompt.percept.positions[0, :, :2].cpu().numpy()
        return Prediction(
            actions=chunk.actions,
            tokens=np.zeros((0, 0), dtype=np.int32),
            confidence=np.ones(chunk.actions.shape, dtype=np.float32),
            trace=(),
            mask_token=0,
            nfe=chunk.steps + (0 if answer is None else answer.evaluations),
            timings=Timings(0.0, 0.0, 0.0, 0.0),
            malformed=chunk.malformed,
            reasoning=said,
            keypoints=dict(zip(self.spec.cameras, keypoints, strict=True)),
        )


class _Drawn(NamedTuple):
    """A chunk drawn from noise.

    Attributes:
        actions: float32 `[H, D]` in physical units.
        steps: Denoising steps that ran.
        complete: Whether these were all.
        malformed: Why the actions are NaN; "" where they are not.
    """

    actions: np.ndarray
    steps: int
    complete: bool
    malformed: str


def _read_tokenizer(folder: Path, sizes: SmallDivlaConfig) -> ReasoningTokenizer | None:
    if not sizes.reasons:
        return None
    tokenizer = ReasoningTokenizer.load(folder)
    if tokenizer.vocabulary != sizes.vocabulary:
        raise CheckpointError(
            f"{folder}: the reasoning tokenizer has {tokenizer.vocabulary} tokens, the network {sizes.vocabulary}."
        )
    return tokenizer


def _checked_length(max_tokens: int, sizes: SmallDivlaConfig) -> int:
    if max_tokens > sizes.reasoning_length:
        raise ConfigurationError(
            f"max_reasoning_tokens must be in 0..{sizes.reasoning_length} for this network, got {max_tokens}."
        )
    return max_tokens or sizes.reasoning_length
