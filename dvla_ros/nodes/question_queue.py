"""Requests of several robots that wait for one policy, and are answered together. Knows no ROS."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dvla_ros.errors import ActionError, ConfigurationError, DvlaError
from dvla_ros.policies.base import Policy, PolicySpec
from dvla_ros.policies.batching import Answer, Question, answers_to

_READ_FAILED = "The request could not be read"
_ANSWER_FAILED = "The policy failed"


@dataclass(frozen=True)
class Waiting:
    """One request.

    Attributes:
        read: What it asks, for a policy that needs and gives this; may raise a DvlaError.
        answered: Called with the answer, once.
        since: When it came, in seconds of the monotonic clock.
    """

    read: Callable[[PolicySpec], Question]
    answered: Callable[[Answer], None]
    since: float


class QuestionQueue:
    """Filled by any thread, emptied by the one that calls the policy.

    A request that finds the policy busy waits, and so do those that come meanwhile: they become one batch.

    Args:
        max_batch: Most requests that are answered together.
        wait_s: How long a request waits for others although the policy is free.

    Raises:
        ConfigurationError: A number is out of range.
    """

    def __init__(self, max_batch: int = 1, wait_s: float = 0.0) -> None:
        if max_batch < 1 or wait_s < 0.0:
            raise ConfigurationError(
                f"max_batch must be 1 or more and batch_wait_s 0 or more, got {max_batch} and {wait_s}."
            )
        self._max_batch, self._wait_s = max_batch, wait_s
        self._waiting: deque[Waiting] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, read: Callable[[PolicySpec], Question], answered: Callable[[Answer], None]) -> None:
        """Have a request answered."""
        with self._lock:
            self._waiting.append(Waiting(read, answered, time.monotonic()))

    def due_in(self) -> float | None:
        """Seconds until the next batch is complete, 0 or less once it is; None while nobody waits."""
        with self._lock:
            if not self._waiting:
                return None
            if len(self._waiting) >= self._max_batch:
                return 0.0
            return self._waiting[0].since + self._wait_s - time.monotonic()

    def take(self) -> list[Waiting]:
        """The next batch, the oldest requests first."""
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._max_batch))]

    def answer(self, policy: Policy) -> None:
        """Answer the next batch; each request gets its own chunk or its own error."""
        questions: list[tuple[Waiting, Question]] = []
        for waiting in self.take():
            try:
                questions.append((waiting, waiting.read(policy.spec)))
            except Exception as error:
                waiting.answered(_as_answer(_READ_FAILED, error))
        for (waiting, _), answer in zip(questions, _answers(policy, [q for _, q in questions]), strict=True):
            waiting.answered(answer)

    def refuse(self, reason: str) -> None:
        """Tell everybody who waits that there will be no answer."""
        while waiting := self.take():
            for each in waiting:
                each.answered(ActionError(reason))


def _answers(policy: Policy, questions: Sequence[Question]) -> Sequence[Answer]:
    try:
        return answers_to(policy, questions)
    except Exception as error:  # a fault in the policy: who asked is to know, and the next request is answered
        return [_as_answer(_ANSWER_FAILED, error)] * len(questions)


def _as_answer(what: str, error: Exception) -> DvlaError:
    return error if isinstance(error, DvlaError) else ActionError(f"{what}: {type(error).__name__}: {error}")
