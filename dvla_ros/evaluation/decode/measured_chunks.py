"""Chunks asked of a policy, one after the other, and how long each took."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dvla_ros.control.observation import Observation
from dvla_ros.evaluation.decode.peak_memory import PeakMemory
from dvla_ros.evaluation.decode.stopwatch import seconds_of
from dvla_ros.evaluation.statistics import percentile
from dvla_ros.policies.base import Prediction

WARM_UP = 2


@dataclass(frozen=True)
class MeasuredChunks:
    """What was answered, and how fast.

    Attributes:
        seconds: From the observation to the actions, of each chunk.
        predictions: The chunks, for the seeds 0, 1, ...
        words: Network evaluations of each chunk that were no denoising steps.
        peak_gb: Most memory.
    """

    seconds: tuple[float, ...]
    predictions: tuple[Prediction, ...]
    words: int
    peak_gb: float | None

    def chunk_s(self, q: float = 50.0) -> float:
        """Percentile of a chunk."""
        return percentile(self.seconds, q)

    @property
    def nfe(self) -> float:
        """Median of the network's evaluations."""
        return float(np.median([prediction.nfe for prediction in self.predictions]))

    @property
    def step_s(self) -> float:
        """Median of a denoising step: the loop's time over its steps."""
        return percentile([p.timings.denoise_s / max(1, p.nfe - self.words) for p in self.predictions], 50.0)

    def part_s(self, name: str) -> float:
        """Median of one part of the timings, e.g. `prefill_s`."""
        return percentile([getattr(prediction.timings, name) for prediction in self.predictions], 50.0)


@dataclass(frozen=True)
class Way:
    """One way in which a policy decodes.

    Attributes:
        name: For people.
        enter: Makes the policy decode so.
        every: Asked in one of so many rounds.
    """

    name: str
    enter: Callable[[], None]
    every: int = 1


def measure_ways(
    policy: Any, ways: Sequence[Way], observation: Observation, repeats: int, *, words: int = 0
) -> list[MeasuredChunks]:
    """Ask for chunks in every way.

    On a CPU the ways take turns, so that what else runs on the machine slows all of them alike; on a GPU one is
    measured after the other, so that the memory of its captured steps is its own.

    Args:
        policy: Asked.
        ways: How.
        observation: Always the same.
        repeats: Rounds; the seeds are their numbers.
        words: See `MeasuredChunks`.
    """
    records = [_Record(policy, way, observation) for way in ways]
    together = [[record] for record in records] if torch.device(policy.device).type == "cuda" else [records]
    for group in together:
        _take_turns(group, repeats)
    return [record.figures(words) for record in records]


def _take_turns(records: Sequence["_Record"], repeats: int) -> None:
    last = None
    for seed in range(-1, repeats):
        for record in records:
            if seed >= 0 and seed % record.every:
                continue
            if record is not last:
                record.enter()
            last = record
            if seed < 0:
                record.warm_up()
            else:
                record.ask(seed)


class _Record:
    """What was asked in one way so far."""

    def __init__(self, policy: Any, way: Way, observation: Observation) -> None:
        self._policy, self._way, self._observation = policy, way, observation
        self._device = torch.device(policy.device)
        self._taken: list[float] = []
        self._answers: list[Prediction] = []
        self._peaks: list[float | None] = []

    @property
    def every(self) -> int:
        return self._way.every

    def enter(self) -> None:
        self._way.enter()

    def warm_up(self) -> None:
        for _ in range(WARM_UP if self._way.every == 1 else 1):
            self._policy.predict(self._observation, seed=0)

    def ask(self, seed: int) -> None:
        memory = PeakMemory(self._device)
        self._taken += seconds_of(lambda: self._predict(seed), self._device, repeats=1, warm_up=0)
        self._peaks.append(memory.gigabytes())

    def figures(self, words: int) -> MeasuredChunks:
        peaks = [peak for peak in self._peaks if peak is not None]
        return MeasuredChunks(tuple(self._taken), tuple(self._answers), words, max(peaks, default=None))

    def _predict(self, seed: int) -> None:
        self._answers.append(self._policy.predict(self._observation, seed=seed))


def token_agreement(a: MeasuredChunks, b: MeasuredChunks, every: int = 1) -> float | None:
    """Share of equal tokens of chunks for the same seeds; None where actions are no tokens.

    Args:
        a: Asked in every round.
        b: Asked in one of `every` rounds.
        every: See `Way`.
    """
    pairs = zip(a.predictions[::every], b.predictions, strict=True)
    alike = [x.tokens == y.tokens for x, y in pairs if x.tokens.size]
    return float(np.mean(np.concatenate([each.ravel() for each in alike]))) if alike else None
