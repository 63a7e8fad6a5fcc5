"""Mask-ratio schedules: how much of the canvas is still masked at a given progress."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dvla_ros.errors import ConfigurationError

Schedule = Callable[[Tensor], Tensor]

_ROUND_OFF = 1e-9  # keeps floor() from losing a token where the product is a whole number but for rounding


def cosine(progress: Tensor) -> Tensor:
    """cos(pi r / 2): MaskGIT, Discrete Diffusion VLA, UD-VLA."""
    return torch.cos(progress * (math.pi / 2))


def raised_cosine(progress: Tensor) -> Tensor:
    """(1 + cos(pi r)) / 2: DiscreteRTC's decoding."""
    return 0.5 * (1 + torch.cos(progress * math.pi))


def linear(progress: Tensor) -> Tensor:
    """1 - r: the same number of tokens in every step."""
    return 1 - progress


def square(progress: Tensor) -> Tensor:
    """1 - r^2."""
    return 1 - progress**2


SCHEDULES: dict[str, Schedule] = {
    "cosine": cosine,
    "raised_cosine": raised_cosine,
    "linear": linear,
    "square": square,
}


def schedule_named(name: str) -> Schedule:
    """The schedule of that name: a function from progress 0..1 (tensor of any shape) to mask ratio 1..0.

    Raises:
        ConfigurationError: There is no such schedule.
    """
    if name not in SCHEDULES:
        raise ConfigurationError(f"Unknown mask schedule '{name}'; choose one of {sorted(SCHEDULES)}.")
    return SCHEDULES[name]


def masked_counts(unknown: int, num_steps: int, schedule: Schedule, reference: int | None = None) -> list[int]:
    """How many positions are still masked after each denoising step (MaskGIT, section 3.2).

    After step s of T: floor(reference * schedule((s + 1) / T)), at least one until the last step, and always at
    least one fewer than before. The list ends with the first 0, which comes before step T when there are fewer
    unknowns than steps.

    Args:
        unknown: Masked positions at the start; 0 gives an empty list.
        num_steps: T, at least 1.
        schedule: Mask ratio.
        reference: What the ratio is a ratio of; None for `unknown`. UD-VLA counts its prefilled positions too.
    """
    progress = torch.arange(1, num_steps, dtype=torch.float64) / num_steps
    whole = unknown if reference is None else reference
    wanted = torch.floor(whole * schedule(progress) + _ROUND_OFF).long().tolist()
    counts: list[int] = []
    left = unknown
    for count in wanted:
        if left > 0:
            left = min(max(1, count), left - 1)
            counts.append(left)
    return [*counts, 0] if left > 0 else counts
