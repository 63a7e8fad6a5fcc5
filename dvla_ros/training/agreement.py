"""Whether a network says what its teacher says: for weights that are converted to another attention.

The released weights of Discrete Diffusion VLA and LLaDA-VLA let the prompt see the actions (`full`), so that a cached
prompt is an approximation. Fine-tuned with `attention: block_causal` the prompt sees itself only, and its cache is
exact. How far the answers are from the teacher's, before and after, says what the conversion costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.observation import Observation
from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.policies.base import Prediction
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.policies.token_policy import TokenPolicy


@dataclass(frozen=True)
class Agreement:
    """Of two policies on some frames.

    Attributes:
        frames: How many.
        tokens: Share of the tokens that are the same, 0..1.
        chunks: Share of the frames on which all tokens are.
        distance: Mean absolute difference of the actions in spreads of the teacher's, by column `[D]`.
    """

    frames: int
    tokens: float
    chunks: float
    distance: np.ndarray


class Teacher:
    """What a policy answers on some frames, kept so that it need not stay in memory.

    Args:
        policy: E.g. the published weights with `attention: full`.
        observations: Held out from training.
        seed: Of the noise, which those who are compared draw from, too.

    Raises:
        DvlaError: It refuses a frame.
        ConfigurationError: There are no frames.
    """

    def __init__(self, policy: TokenPolicy, observations: Sequence[Observation], seed: int = 0) -> None:
        if not observations:
            raise ConfigurationError("There are no frames to compare on; give some that were held out.")
        self._canvas, self._observations, self._seed = policy.network.canvas, observations, seed
        self._answers = self._ask(policy)

    def agreement(self, student: TokenPolicy) -> Agreement:
        """How far a policy agrees, e.g. the same weights with `block_causal`, before or after fine-tuning.

        Raises:
            DvlaError: It refuses a frame.
            ConfigurationError: It fills another canvas.
        """
        if self._canvas != student.network.canvas:
            raise ConfigurationError("The two policies fill different canvases; compare checkpoints of one system.")
        answers = list(zip(self._answers, self._ask(student), strict=True))
        same = [np.asarray(first.tokens) == np.asarray(second.tokens) for first, second in answers]
        pairs = np.array([[first.actions, second.actions] for first, second in answers], np.float64)
        spread = pairs[:, 0].std(axis=(0, 1)).clip(min=1e-9)
        apart = np.abs(pairs[:, 0] - pairs[:, 1]).mean(axis=(0, 1)) / spread
        whole = float(np.mean([each.all() for each in same]))
        return Agreement(len(same), float(np.mean(np.concatenate([each.ravel() for each in same]))), whole, apart)

    def _ask(self, policy: TokenPolicy) -> list[Prediction]:
        requests = [
            ChunkRequest.checked(policy.spec, None, self._seed + number, None, None, None)
            for number in range(len(self._observations))
        ]
        return [_answer(policy, *asked) for asked in zip(self._observations, requests, strict=True)]


def _answer(policy: TokenPolicy, observation: Observation, request: ChunkRequest) -> Prediction:
    (answer,) = policy.predict_batch([observation], [request])
    if isinstance(answer, DvlaError):
        raise answer
    return answer
