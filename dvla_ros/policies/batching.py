"""Several observations, of several robots, asked about at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from dvla_ros.control.observation import Observation
from dvla_ros.errors import DvlaError
from dvla_ros.policies.base import Policy, Prediction
from dvla_ros.policies.request import ChunkRequest

Answer = Prediction | DvlaError
"""A chunk, or why there is none."""


@dataclass(frozen=True)
class Question:
    """What one robot wants to know.

    Attributes:
        observation: What it sees.
        request: Which chunk.
        new_episode: Whether the policy is to forget what was before.
    """

    observation: Observation
    request: ChunkRequest
    new_episode: bool = False


@runtime_checkable
class BatchPolicy(Policy, Protocol):
    """A policy that remembers nothing between chunks and can answer several robots in one go."""

    def predict_batch(self, observations: Sequence[Observation], requests: Sequence[ChunkRequest]) -> list[Answer]:
        """Infer a chunk for each observation.

        Each answer is the one that its observation and request would get alone with the same seed, to the rounding of
        sums that the network adds up in another order; `nfe`, `trace` and `timings` are those of the whole batch.

        Args:
            observations: See `Policy.predict`.
            requests: One for each observation.

        Returns:
            For each observation its chunk, or the error that `Policy.predict` would have raised for it.
        """
        ...


def answers_to(policy: Policy, questions: Sequence[Question]) -> list[Answer]:
    """Ask a policy: in one go where it can, else one question after the other."""
    if len(questions) > 1 and isinstance(policy, BatchPolicy):
        return policy.predict_batch([q.observation for q in questions], [q.request for q in questions])
    return [_answer_to(policy, question) for question in questions]


def _answer_to(policy: Policy, question: Question) -> Answer:
    request = question.request
    try:
        if question.new_episode:
            policy.reset()
        return policy.predict(
            question.observation,
            frozen_actions=request.frozen if len(request.frozen) else None,
            seed=request.seed,
            deadline_s=request.deadline_s,
            warm_start=request.guess,
            needed_steps=request.needed_steps,
        )
    except DvlaError as error:
        return error
