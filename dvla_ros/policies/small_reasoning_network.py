"""The small network of DiffusionVLA as a policy uses it: an observation to words, and to the condition of a head."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.normalization import DatasetStatistics, Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.errors import CheckpointError
from dvla_ros.models.ddim import DdimConfig, NoisePredictor
from dvla_ros.models.small_divla import Answer, Prompt, SmallDivla, SmallDivlaConfig
from dvla_ros.policies.checkpoint import CheckpointConfig
from dvla_ros.policies.processor import Inputs, ObservationProcessor
from dvla_ros.policies.reasoning_text import ReasoningTokenizer


class SmallReasoningNetwork:
    """A `ReasoningNetwork` of `SmallDivla`.

    Args:
        config: What the checkpoint says.
        model: The network.
        statistics: Of the data it was trained on.
        tokenizer: Of the reasoning; None for a network without words.
        device: Where it runs.
    """

    def __init__(
        self,
        config: CheckpointConfig,
        model: SmallDivla,
        statistics: DatasetStatistics,
        tokenizer: ReasoningTokenizer | None,
        device: torch.device,
    ) -> None:
        self.model = model.to(device).eval()
        self.model.trunk.pack()
        self.policy_head: NoisePredictor = self.model.policy_head
        self.longest_answer = model.config.reasoning_length if tokenizer is not None else 0
        self._tokenizer, self._cameras = tokenizer, config.cameras
        state = Normalizer.from_statistics(statistics.proprio, "min_max")
        self._processor = ObservationProcessor(model.config.perception, config.cameras, state, device)

    def prepare(self, observation: Observation) -> Inputs:
        """See `ReasoningNetwork`."""
        return self._processor(observation)

    def prefill(self, inputs: Inputs) -> Prompt:
        """See `ReasoningNetwork`."""
        return self.model.prefill(inputs.images, inputs.text, inputs.state)

    def reason(self, prompt: Prompt, max_tokens: int, late: Callable[[], bool]) -> Answer:
        """See `ReasoningNetwork`."""
        assert self._tokenizer is not None
        return self.model.reason(prompt, self._tokenizer.end, max_tokens, late)

    def condition(self, prompt: Prompt, answer: Answer | None, inputs: Inputs) -> Tensor:
        """See `ReasoningNetwork`."""
        return self.model.encode_condition(self.model.condition(prompt, answer), inputs.state)

    def words(self, answer: Answer) -> tuple[str, int]:
        """See `ReasoningNetwork`."""
        assert self._tokenizer is not None
        return self._tokenizer.decode(answer.tokens[0].tolist()), answer.evaluations

    def ddim(self, num_steps: int, clip_sample: bool, resamplings: int) -> DdimConfig:
        """See `ReasoningNetwork`."""
        return self.model.config.ddim(num_steps, clip_sample, resamplings)

    def keypoints(self, prompt: Prompt) -> Mapping[str, np.ndarray]:
        """See `ReasoningNetwork`."""
        found = prompt.percept.positions[0, :, :2].cpu().numpy()
        return dict(zip(self._cameras, found, strict=True))


def read_reasoning_tokenizer(folder: Path, sizes: SmallDivlaConfig) -> ReasoningTokenizer | None:
    """The words of a checkpoint; None for a network without.

    Raises:
        CheckpointError: They are missing or not those of the network.
    """
    if not sizes.reasons:
        return None
    tokenizer = ReasoningTokenizer.load(folder)
    if tokenizer.vocabulary != sizes.vocabulary:
        raise CheckpointError(
            f"{folder}: the reasoning tokenizer has {tokenizer.vocabulary} tokens, the network {sizes.vocabulary}."
        )
    return tokenizer
