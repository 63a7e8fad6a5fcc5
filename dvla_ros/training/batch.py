"""Training examples, and what of a network and of an objective a training step needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from dvla_ros.denoising.noise import Noise


@dataclass(frozen=True)
class Targets:
    """What a network is to say about each frame of the demonstrations; each `None` where its system has no use for it.

    Attributes:
        actions: float32 `[N, H, D]` normalised.
        tokens: int64 `[N, L]`, complete canvases.
        seen: int64 `[N, ...]`, tokens of the image segments as the present is.
        reasoning: int64 `[N, R]`, tokens of what to say first, padded with -1.
    """

    actions: Tensor
    tokens: Tensor | None = None
    seen: Tensor | None = None
    reasoning: Tensor | None = None

    def rows(self, index: Tensor) -> "Targets":
        """The targets of some frames."""
        parts = (self.tokens, self.seen, self.reasoning)
        return Targets(self.actions[index], *(None if part is None else part[index] for part in parts))


@dataclass(frozen=True)
class Batch:
    """Observations and what is to be said of them.

    Attributes:
        images: uint8, or float in 0..255, `[B, C, 3, h, w]`.
        text: `[B, T, 384]`.
        state: `[B, S]` normalised.
        pixels: `[B, C, 2, 2]` in 0..1, as in `training.demonstrations.Frame`; NaN where not known.
        points: `[B, 2, 3]` likewise, but in the units of the normalised state's x, y, z.
        targets: Of these B frames.
        frozen: int64 `[B]`, leading actions that were being executed already; None when there are none.
        moved: `[B, 3]`, how far those take the gripper, in the units of the normalised state's x, y, z; None: nowhere.
    """

    images: Tensor
    text: Tensor
    state: Tensor
    pixels: Tensor
    points: Tensor
    targets: Targets
    frozen: Tensor | None = None
    moved: Tensor | None = None

    def __len__(self) -> int:
        return len(self.state)


@dataclass(frozen=True)
class NumberedBatch:
    """A batch of a run.

    Attributes:
        numbers: int64 `[B]`, of its examples in the run.
        batch: Of B examples.
    """

    numbers: Tensor
    batch: Any


class ExampleBatch(Protocol):
    """What every batch has, whatever network reads it."""

    @property
    def targets(self) -> Targets:
        """Of the B examples."""
        ...

    @property
    def frozen(self) -> Tensor | None:
        """int64 `[B]`, leading actions that were being executed already; None when there are none."""
        ...

    def __len__(self) -> int: ...


class Exercise(Protocol):
    """A batch whose corruption is drawn: what the network will be shown, and what its sums are divided by.

    `counts` says by name of a part of the loss, as a scalar, how many numbers its sum is over. A mean over several
    processes and micro-batches is the sum of their sums divided by the sum of their counts.
    """

    @property
    def batch(self) -> Any:
        """The examples."""
        ...

    @property
    def counts(self) -> Mapping[str, Tensor]:
        """See above."""
        ...


class Objective(Protocol):
    """What a system is trained on."""

    @property
    def weights(self) -> Mapping[str, float]:
        """Of each part in the loss; 0 for one that is only reported."""
        ...

    def exercise(self, batch: Any, noise: Noise) -> Any:
        """Draw the corruption of a batch; nothing is asked of the network.

        Args:
            batch: Of B examples.
            noise: One row for each of them.
        """
        ...

    def sums(self, learner: Any, exercise: Any) -> Mapping[str, Tensor]:
        """Sum of each part, undivided; a part is left out where the network does not learn it.

        Args:
            learner: See `training.learner`.
            exercise: Of `exercise`.
        """
        ...


@dataclass(frozen=True)
class Losses:
    """Scalar tensors: the weighted sum, and its unweighted parts by name."""

    total: Tensor
    parts: Mapping[str, Tensor]


def losses_of(objective: Objective, sums: Mapping[str, Tensor], counts: Mapping[str, Tensor]) -> Losses:
    """Sums divided by counts, and their weighted sum.

    Args:
        objective: Knows the weights.
        sums: Of one micro-batch of one process.
        counts: What to divide by: those of the same micro-batch, or the mean of all that make up a step.
    """
    parts = {name: value / counts[name].clamp_min(1e-6) for name, value in sums.items()}
    weighted = [objective.weights[name] * part for name, part in parts.items() if objective.weights[name]]
    return Losses(torch.stack(weighted).sum(), parts)


def losses(objective: Objective, learner: Any, batch: ExampleBatch, noise: Noise) -> Losses:
    """All losses of one batch that is a step by itself."""
    exercise = objective.exercise(batch, noise)
    return losses_of(objective, objective.sums(learner, exercise), exercise.counts)


def example_noise(seed: int, numbers: Sequence[int], device: torch.device | str = "cpu") -> Noise:
    """What the corruption of each example is drawn from: a function of the run's seed and the example's number."""
    return Noise([(seed << 40) + number for number in numbers], device)
