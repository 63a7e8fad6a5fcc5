"""Whether a network says what its teacher says: for weights that are converted to another attention.

The released weights of Discrete Diffusion VLA and LLaDA-VLA let the prompt see the actions (`full`), so that a cached
prompt is an approximation. Fine-tuned with `attention: block_causal` the prompt sees itself only, and its cache is
exact. How far the answers are from the teacher's, before and after, says what the conversion costs.
"""

from collections.abc import Iterable
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


def agreement(
    teacher: TokenPolicy, student: TokenPolicy, observations: Iterable[Observation], seed: int = 0
) -> Agreement:
    """Compare two policies; both draw from the same noise.

    Args:
        teacher: E.g. the published weights with `attention: full`.
        student: E.g. the same with `block_causal`, before or after fine-tuning.
        observations: Held out from training.
        seed: Of the noise.

    Raises:
        DvlaError: One of them refuses a frame.
        ConfigurationError: There are no frames, or the policies have different canvases.
    """
    if teacher.network.canvas != student.network.canvas:
        raise ConfigurationError("The two policies fill different canvases; compare checkpoints of one system.")
    same, actions = [], []
    for number, observation in enumerate(observations):
        request = ChunkRequest.checked(teacher.spec, None, seed + number, None, None, None)
        answers = [_answer(policy, observation, request) for policy in (teacher, student)]
        first, second = (np.asarray(answer.tokens) for answer in answers)
        same.append(first == second)
        actions.append([np.asarray(answer.actions, np.float64) for answer in answers])
    if not same:
        raise ConfigurationError("There are no frames to compare on; give some that were held out.")
    pairs = np.array(actions)
    spread = pairs[:, 0].std(axis=(0, 1)).clip(min=1e-9)
    apart = np.abs(pairs[:, 0] - pairs[:, 1]).mean(axis=(0, 1)) / spread
    whole = float(np.mean([each.all() for each in same]))
    return Agreement(len(same), float(np.mean(np.concatenate([each.ravel() for each in same]))), whole, apart)


def _answer(policy: TokenPolicy, observation: Observation, request: ChunkRequest) -> Prediction:
    (answer,) = policy.predict_batch([observation], [request])
    if isinstance(answer, DvlaError):
        raise answer
    return answer
