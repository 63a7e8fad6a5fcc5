"""DiffusionVLA (arXiv 2412.03293): say what is to be done, then draw the chunk from noise, given what was said."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.gripper import GripperConvention, convert_gripper, trained_gripper
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.schedules import steps_for
from dvla_ros.errors import ActionError, CheckpointError, ConfigurationError
from dvla_ros.models.ddim import DdimConfig, sample_chunk
from dvla_ros.models.networks import make_network
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.small_divla import SmallDivlaConfig
from dvla_ros.policies.base import Guess, PolicySpec, Prediction, Timings
from dvla_ros.policies.checkpoint import read_config, read_statistics, read_weights
from dvla_ros.policies.coding import ActionCoding
from dvla_ros.policies.ddim_decoding import ddim_decoding
from dvla_ros.policies.device_memory import within_device_memory
from dvla_ros.policies.reasoning_network import ReasoningNetwork
from dvla_ros.policies.reasoning_text import ReasoningTokenizer
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.policies.small_reasoning_network import SmallReasoningNetwork, read_reasoning_tokenizer


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
        spec: What it needs and gives.
        network: The network, with all that belongs to reading an observation.
        actions: Normaliser of the actions.
        decoding: Settings of the decoder, see `ddim_decoding`.
        gripper: What the network's gripper numbers mean; None where they are the robot's own, 0 closed .. 1 open.
        device: Where the network runs.

    Raises:
        ConfigurationError: A setting is unknown or out of range.
    """

    def __init__(
        self,
        spec: PolicySpec,
        network: ReasoningNetwork,
        actions: Normalizer,
        decoding: Mapping[str, object],
        gripper: GripperConvention | None = None,
        device: str = "cpu",
    ) -> None:
        self.spec = spec
        self.network = network
        self.device = torch.device(device)
        settings = ddim_decoding(decoding)
        ddim = network.ddim(settings.num_steps, settings.clip_sample, settings.resamplings)
        self._ddim: DdimConfig = replace(ddim, warm_start_time=settings.warm_start_time)
        self._adaptive_steps = settings.adaptive_steps
        self._reasons = settings.reason and network.longest_answer > 0
        self._max_tokens = _checked_length(settings.max_reasoning_tokens, network.longest_answer)
        self._actions, self._gripper = actions, gripper
        self._seeds = np.random.default_rng()

    @classmethod
    def from_checkpoint(
        cls, folder: Path, device: str = "cpu", overrides: Mapping[str, object] | None = None
    ) -> "DiffusionPolicy":
        """Load a checkpoint folder of this repository; `overrides` replaces settings of the decoder by name.

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
        tokenizer = read_reasoning_tokenizer(folder, config.model)
        network = SmallReasoningNetwork(config, model, statistics, tokenizer, torch.device(device))
        decoding = {**config.decoding, **(overrides or {})}
        return cls(config.spec, network, config.coding.normalizer(statistics), decoding, device=device)

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
        inputs = self.network.prepare(observation)
        prepared = time.perf_counter()
        until = request.deadline_s
        prompt = self.network.prefill(inputs)
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

    def _reason(self, prompt: Any, late: Callable[[], bool]) -> Any:
        return self.network.reason(prompt, self._max_tokens, late) if self._reasons else None

    def _condition(self, prompt: Any, answer: Any, inputs: Any) -> Tensor:
        condition = self.network.condition(prompt, answer, inputs)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return condition

    def _draw(self, condition: Tensor, request: ChunkRequest, remaining_s: float | None) -> "_Drawn":
        shape = (self.spec.horizon, len(self.spec.action_names))
        seed = int(self._seeds.integers(2**31)) if request.seed is None else request.seed
        frozen, guess = self._trained(request.frozen), request.guessed_chunk()
        try:
            chunk = sample_chunk(
                self.network.policy_head,
                condition,
                shape,
                [seed],
                config=self._ddim_around(len(frozen)),
                frozen=self._normalized(frozen) if len(frozen) else None,
                guess=None if guess is None else self._normalized(self._trained(guess)),
                deadline_s=remaining_s,
            )
        except ActionError as error:
            return _Drawn(np.full(shape, np.nan, dtype=np.float32), 0, False, str(error))
        actions = self._actions.unnormalize(chunk.actions[0].cpu().numpy()).astype(np.float32)
        if self._gripper is not None:
            actions = convert_gripper(actions, self._gripper)
        actions[: len(frozen)] = request.frozen  # exactly, also where normalising had clipped them
        return _Drawn(actions, chunk.nfe, chunk.complete, "")

    def _trained(self, rows: np.ndarray) -> np.ndarray:
        """Rows with the gripper as the network was taught it."""
        return rows if self._gripper is None else trained_gripper(rows, self._gripper)

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

    def _prediction(self, chunk: "_Drawn", prompt: Any, answer: Any) -> Prediction:
        said, evaluations = ("", 0) if answer is None else self.network.words(answer)
        return Prediction(
            actions=chunk.actions,
            tokens=np.zeros((0, 0), dtype=np.int32),
            confidence=np.ones(chunk.actions.shape, dtype=np.float32),
            trace=(),
            mask_token=0,
            nfe=chunk.steps + evaluations,
            timings=Timings(0.0, 0.0, 0.0, 0.0),
            malformed=chunk.malformed,
            reasoning=said,
            keypoints=self.network.keypoints(prompt),
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


def _checked_length(max_tokens: int, longest: int) -> int:
    if max_tokens > longest:
        raise ConfigurationError(f"max_reasoning_tokens must be in 0..{longest} for this network, got {max_tokens}.")
    return max_tokens or longest
