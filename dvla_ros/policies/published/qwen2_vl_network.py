"""DiffusionVLA and DexVLA as a policy uses them: an observation to words, and to the condition of an action head."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.standardizer import Standardizer
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ObservationError
from dvla_ros.models.ddim import DdimConfig, NoisePredictor
from dvla_ros.models.qwen2_vl import Question, ReadPrompt, SaidWords
from dvla_ros.models.qwen2_vla import Qwen2Vla
from dvla_ros.policies.published.qwen2_vl_reader import Qwen2VlReader


@dataclass(frozen=True)
class Qwen2VlInputs:
    """One observation as tensors on the device.

    Attributes:
        question: The prompt.
        state: Normalised state `[1, S]`; None for a head without.
    """

    question: Question
    state: Tensor | None


class Qwen2VlNetwork:
    """A `ReasoningNetwork` of `Qwen2Vla`.

    Args:
        model: With its weights, on its device.
        reader: Makes prompts.
        cameras: Camera names, in the order of training.
        state: Of the state; None for a head without.
        longest_answer: Most tokens of a reasoning; 0 for a model that does not reason.
    """

    def __init__(
        self,
        model: Qwen2Vla,
        reader: Qwen2VlReader,
        cameras: tuple[str, ...],
        state: Standardizer | None,
        longest_answer: int,
    ) -> None:
        self.model = model.eval()
        self.model.backbone.language.trunk.pack()
        self.policy_head: NoisePredictor = self.model.policy_head
        self.longest_answer = longest_answer
        self._reader, self._cameras, self._state = reader, cameras, state
        weight = self.model.backbone.language.embed_tokens.weight
        self._device, self._dtype = weight.device, weight.dtype

    def prepare(self, observation: Observation) -> Qwen2VlInputs:
        """See `ReasoningNetwork`."""
        if missing := [name for name in self._cameras if name not in observation.images]:
            raise ObservationError(f"The policy needs the cameras {list(self._cameras)}; {missing} are missing.")
        images = [observation.images[name] for name in self._cameras]
        question = self._reader(images, observation.instruction).to(self._device, self._dtype)
        return Qwen2VlInputs(question, self._normalized(observation.state))

    def _normalized(self, state: np.ndarray) -> Tensor | None:
        if self._state is None:
            return None
        if state.shape != (self._state.dim,) or not np.isfinite(state).all():
            raise ObservationError(f"The state must be {self._state.dim} finite numbers, got {state}.")
        return torch.from_numpy(self._state.normalize(state)).float().unsqueeze(0).to(self._device)

    def prefill(self, inputs: Qwen2VlInputs) -> ReadPrompt:
        """See `ReasoningNetwork`."""
        return self.model.backbone.read(inputs.question, self.longest_answer)

    def reason(self, prompt: ReadPrompt, max_tokens: int, late: Callable[[], bool]) -> SaidWords:
        """See `ReasoningNetwork`."""
        return self.model.backbone.say(prompt, max_tokens, late)

    def condition(self, prompt: ReadPrompt, answer: SaidWords | None, inputs: Qwen2VlInputs) -> Tensor:
        """See `ReasoningNetwork`."""
        return self.model.condition(prompt, answer, inputs.state)

    def words(self, answer: SaidWords) -> tuple[str, int]:
        """See `ReasoningNetwork`."""
        return self._reader.words(answer.tokens.tolist()), answer.evaluations

    def ddim(self, num_steps: int, clip_sample: bool, resamplings: int) -> DdimConfig:
        """See `ReasoningNetwork`."""
        return DdimConfig(self.model.config.noise_levels, num_steps, clip_sample, resamplings)

    def keypoints(self, prompt: ReadPrompt) -> Mapping[str, np.ndarray]:
        """See `ReasoningNetwork`: none."""
        return {}

    def causal_probe(self, inputs: Qwen2VlInputs) -> float:
        """How far the prompt's hidden states move when its last token becomes another; 0 where attention is causal."""
        question = inputs.question
        ids = question.ids.clone()
        ids[-1] = ids[0] if int(ids[-1]) != int(ids[0]) else ids[1]
        before = self.model.backbone.read(question).hidden
        after = self.model.backbone.read(replace(question, ids=ids)).hidden
        return float((before - after)[:, :-1].abs().max())
