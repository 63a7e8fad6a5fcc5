"""Which example comes when: the n-th example of a run is a function of its seed and n, whoever computes it.

Examples are numbered 0, 1, 2 … through the whole run. Number n stands in epoch n // N of a set of N frames, and each
epoch is a permutation of its own. An optimiser step takes a global batch of consecutive numbers, which processes and
micro-batches share. So a run goes on at any step after a kill, and one process with batches of 8 sees what two with
batches of 4 see, or one that accumulates two of 4.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from dvla_ros.errors import ConfigurationError
from dvla_ros.training.draws import Use, draws


class ExampleOrder:
    """From numbers to frames.

    Args:
        frames: N, how many frames there are.
        seed: Of the run.

    Raises:
        ConfigurationError: There is no frame, or the seed is negative.
    """

    def __init__(self, frames: int, seed: int) -> None:
        if frames < 1 or seed < 0:
            raise ConfigurationError(f"There must be a frame, and the seed be 0 or more: got {frames}, seed {seed}.")
        self._frames, self._seed = frames, seed
        self._epoch = -1
        self._permutation: np.ndarray = np.empty(0, np.int64)

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """The frame of each number, int64 `[n]`; memory is that of one epoch's permutation, 8 bytes a frame."""
        rows = np.empty(len(numbers), np.int64)
        epochs, places = np.divmod(np.asarray(numbers, np.int64), self._frames)
        for epoch in np.unique(epochs):
            own = epochs == epoch
            rows[own] = self._of_epoch(int(epoch))[places[own]]
        return rows

    def _of_epoch(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            self._permutation = draws(self._seed, epoch, Use.ORDER).permutation(self._frames)
            self._epoch = epoch
        return self._permutation


@dataclass(frozen=True)
class BatchShare:
    """How a global batch is divided.

    Attributes:
        batch_size: Examples of one process in one micro-batch.
        processes: That train together.
        process: Number of this one.
        accumulation: Micro-batches of a step.

    Raises:
        ConfigurationError: A number is out of range.
    """

    batch_size: int
    processes: int = 1
    process: int = 0
    accumulation: int = 1

    def __post_init__(self) -> None:
        if min(self.batch_size, self.processes, self.accumulation) < 1 or not 0 <= self.process < self.processes:
            raise ConfigurationError(
                f"batch_size, processes and accumulation must be 1 or more, process 0 to processes - 1, got {self}."
            )

    @property
    def global_batch(self) -> int:
        """Examples of one step, over all processes and micro-batches."""
        return self.processes * self.accumulation * self.batch_size

    def numbers(self, step: int, micro_batch: int) -> range:
        """This process' numbers in a micro-batch of a step.

        All of them, micro-batch after micro-batch and within one process after process, are the numbers
        `step * global_batch` … `(step + 1) * global_batch - 1`.
        """
        place = micro_batch * self.processes + self.process
        begin = step * self.global_batch + place * self.batch_size
        return range(begin, begin + self.batch_size)


class StepSampler(Sampler[list[int]]):
    """The numbers of this process, one list a micro-batch: `batch_sampler` of a `torch.utils.data.DataLoader`.

    Args:
        share: Of this process.
        steps: Optimiser steps of the whole run.
        first_step: Steps that are done already, counted from the run's begin.

    Raises:
        ConfigurationError: `first_step` is not one of the run's.
    """

    def __init__(self, share: BatchShare, steps: int, first_step: int = 0) -> None:
        if not 0 <= first_step <= steps:
            raise ConfigurationError(f"first_step must be 0 to {steps}, the run's steps, got {first_step}.")
        self._share, self._steps, self._first = share, steps, first_step

    def __len__(self) -> int:
        return (self._steps - self._first) * self._share.accumulation

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self._first, self._steps):
            for micro_batch in range(self._share.accumulation):
                yield list(self._share.numbers(step, micro_batch))
