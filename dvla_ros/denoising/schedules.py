"""Mask-ratio schedules: how much of the canvas is still masked at a given progress."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.errors import ConfigurationError

_LEAST_RATIO = 1e-6
_ROUND_OFF = 1e-9  # keeps floor() from losing a token where the product is a whole number but for rounding


@dataclass(frozen=True)
class Schedule:
    """A mask ratio that falls from 1 to 0 while the progress rises from 0 to 1.

    Attributes:
        name: As in a configuration.
        formula: From the progress to the ratio; `of_unknown` ones also take log2 of the number of unknowns.
        of_unknown: Whether the ratio depends on how many positions there are to fill.
        even: Whether the positions are dealt out to the steps as evenly as whole numbers allow, instead of rounding
            the ratio in every step.
    """

    name: str
    formula: Callable[..., Tensor]
    of_unknown: bool = False
    even: bool = False

    def __call__(self, progress: Tensor, unknown: Tensor | int | None = None) -> Tensor:
        """The mask ratio, clamped to 1e-6..1 as in Discrete Diffusion VLA's released code.

        Args:
            progress: r in 0..1, of any shape.
            unknown: N, masked positions at the start, broadcast with `progress`; only `of_unknown` schedules need it.

        Raises:
            ConfigurationError: The schedule needs `unknown` and there is none.
        """
        if not self.of_unknown:
            return self.formula(progress).clamp(_LEAST_RATIO, 1.0)
        if unknown is None:
            raise ConfigurationError(f"The schedule '{self.name}' needs the number of unknown positions.")
        bits = torch.log2(torch.as_tensor(unknown, dtype=progress.dtype, device=progress.device).clamp_min(2))
        return self.formula(progress, bits).clamp(_LEAST_RATIO, 1.0)


def power(exponent: float) -> Schedule:
    """1 - r^K: the larger K, the later the tokens come; any K > 0."""
    return Schedule(f"pow{exponent:g}", lambda progress: 1 - progress**exponent)


def _cosine(progress: Tensor) -> Tensor:
    """cos(pi r / 2): MaskGIT, Discrete Diffusion VLA, UD-VLA."""
    return torch.cos(progress * (math.pi / 2))


def _raised_cosine(progress: Tensor) -> Tensor:
    """(1 + cos(pi r)) / 2: DiscreteRTC's decoding."""
    return 0.5 * (1 + torch.cos(progress * math.pi))


def _linear(progress: Tensor) -> Tensor:
    """1 - r: the same number of tokens in every step."""
    return 1 - progress


def _log(progress: Tensor, bits: Tensor) -> Tensor:
    """-log2(r) / log2(N): most tokens in the first steps."""
    return -torch.log2(progress) / bits


def _exp(progress: Tensor, bits: Tensor) -> Tensor:
    """1 - 2^(-log2(N) (1 - r)): most tokens in the last steps."""
    return 1 - torch.exp2(-bits * (1 - progress))


SCHEDULES: dict[str, Schedule] = {
    "cosine": Schedule("cosine", _cosine),
    "raised_cosine": Schedule("raised_cosine", _raised_cosine),
    "linear": Schedule("linear", _linear),
    "uniform": Schedule("uniform", _linear),
    "even": Schedule("even", _linear, even=True),
    "square": Schedule("square", power(2).formula),
    "log": Schedule("log", _log, of_unknown=True),
    "exp": Schedule("exp", _exp, of_unknown=True),
}
"""By name; `uniform` is the released code's name of `linear`, `even` LLaDA's quota of it."""


def schedule_named(name: str) -> Schedule:
    """The schedule of that name; `pow` and a number, such as `pow3`, is `power` of that exponent.

    Raises:
        ConfigurationError: There is no such schedule.
    """
    if match := re.fullmatch(r"pow(\d+(?:\.\d+)?)", name):
        if float(match[1]) > 0:
            return power(float(match[1]))
    elif name in SCHEDULES:
        return SCHEDULES[name]
    raise ConfigurationError(
        f"Unknown mask schedule '{name}'; choose one of {sorted(SCHEDULES)}, or 'pow' and a number above 0."
    )


def steps_for(total: int, unknown: int, free: int) -> int:
    """max(1, floor(T * U / L)): steps for U unknowns where T fill all L of them (DiscreteRTC, arXiv 2604.25050)."""
    return max(1, total * unknown // max(1, free))


def masked_counts(unknown: int, num_steps: int, schedule: Schedule, reference: int | None = None) -> list[int]:
    """How many positions are still masked after each denoising step (MaskGIT, section 3.2).

    After step s of T: floor(reference * schedule((s + 1) / T)), at least one until the last step, and always at
    least one fewer than before. The list ends with the first 0, which comes before step T when there are fewer
    unknowns than steps.

    Args:
        unknown: Masked positions at the start; 0 gives an empty list.
        num_steps: T, at least 1.
        schedule: Mask ratio; an `even` one gives `even_counts`, whatever the reference.
        reference: What the ratio is a ratio of; None for `unknown`. UD-VLA counts its prefilled positions too.
    """
    if schedule.even:
        return even_counts(unknown, num_steps)
    progress = torch.arange(1, num_steps, dtype=torch.float64) / num_steps
    whole = unknown if reference is None else reference
    wanted = torch.floor(whole * schedule(progress, whole) + _ROUND_OFF).long().tolist()
    counts: list[int] = []
    left = unknown
    for count in wanted:
        if left > 0:
            left = min(max(1, count), left - 1)
            counts.append(left)
    return [*counts, 0] if left > 0 else counts


def even_counts(unknown: int, num_steps: int) -> list[int]:
    """How many positions are still masked after each step when step s of T commits n // T, the first n mod T one more.

    This is LLaDA's quota (arXiv 2502.09992). As in `masked_counts`, the list ends with the first 0.
    """
    share, extra = divmod(unknown, num_steps)
    steps = range(1, min(unknown, num_steps) + 1)
    return [unknown - share * step - min(step, extra) for step in steps]
