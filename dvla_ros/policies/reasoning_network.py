"""What the policy of DiffusionVLA needs of a network: read, reason, and tell an action head."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from dvla_ros.control.observation import Observation
from dvla_ros.models.ddim import DdimConfig, NoisePredictor


class ReasoningNetwork(Protocol):
    """A network with all that belongs to reading an observation; on one device, for inference.

    Attributes:
        policy_head: Predicts the noise in a chunk.
        longest_answer: Most tokens of a reasoning; 0 where the network does not reason.
    """

    policy_head: NoisePredictor
    longest_answer: int

    def prepare(self, observation: Observation) -> Any:
        """Pixels, words and state as tensors on the device.

        Raises:
            ObservationError: A camera is missing, or an image, the state or the instruction is unusable.
        """
        ...

    def prefill(self, inputs: Any) -> Any:
        """The prompt, once per observation."""
        ...

    def reason(self, prompt: Any, max_tokens: int, late: Callable[[], bool]) -> Any:
        """Say the likeliest word, one after the other, until the end, `max_tokens` or `late()`."""
        ...

    def condition(self, prompt: Any, answer: Any | None, inputs: Any) -> Tensor:
        """What `policy_head` is conditioned on, `[1, W]`; without an answer nothing was said."""
        ...

    def words(self, answer: Any) -> tuple[str, int]:
        """The text of an answer, and how often the trunk was run for it."""
        ...

    def ddim(self, num_steps: int, clip_sample: bool, resamplings: int) -> DdimConfig:
        """The diffusion that the head was trained for, sampled in `num_steps`."""
        ...

    def keypoints(self, prompt: Any) -> Mapping[str, np.ndarray]:
        """See `policies.base.Prediction.keypoints`; empty where the network has none."""
        ...
