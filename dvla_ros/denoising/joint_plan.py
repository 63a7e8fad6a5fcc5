"""What each step of joint decoding has to do, for every ranking of every chunk, worked out before the first step."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Literal

import torch
from torch import Tensor

from dvla_ros.denoising.schedules import Schedule, masked_counts

Fade = Literal["cumulative", "linear"]
Entry = tuple[int, float, float]  # masked after the step, progress, temperature

_COMPLETE: Entry = (0, 1.0, 0.0)


def ranking_temperatures(num_steps: int, start: float, fade: Fade) -> list[float]:
    """Temperature tau of the ranking's noise in each step, with r = (s + 1) / T the progress after it.

    Args:
        num_steps: T.
        start: tau_0.
        fade: `cumulative`, the product of start and all (1 - r) so far; `linear`, start * (1 - r).
    """
    left = [1 - (step + 1) / num_steps for step in range(num_steps)]
    return [start * factor for factor in (accumulate(left, mul) if fade == "cumulative" else left)]


@dataclass(frozen=True)
class Ranking:
    """The positions of one chunk that compete with each other.

    Attributes:
        unknown: Masked positions at the start.
        num_steps: T, in which they are decided.
        reference: What the mask ratio is a ratio of.
    """

    unknown: int
    num_steps: int
    reference: int


@dataclass(frozen=True)
class JointPlan:
    """Tables for a batch of B chunks with G rankings each.

    Attributes:
        num_steps: S, the most steps any chunk takes; 0 when nothing is unknown.
        masked_after: int64 `[S, B, G]`, positions that stay masked after the step, if none was settled otherwise.
        progress: float32 `[S, B, G]`, r after the step: 0 while a ranking waits for its turn, 1 once it is complete.
        temperature: float32 `[S, B, G]`, of the Gumbel noise in the ranking.
    """

    num_steps: int
    masked_after: Tensor
    progress: Tensor
    temperature: Tensor

    @classmethod
    def make(
        cls,
        batch: Sequence[Sequence[Ranking]],
        schedule: Schedule,
        *,
        temperature: float,
        fade: Fade,
        in_turn: bool,
        device: torch.device,
    ) -> "JointPlan":
        """The tables of `batch`, the G rankings of each chunk; `in_turn` makes each wait for the one before it."""
        kinds = {ranking for chunk in batch for ranking in chunk}
        entries = {ranking: _entries(ranking, schedule, temperature, fade) for ranking in kinds}
        chunks = [[entries[ranking] for ranking in chunk] for chunk in batch]
        if in_turn:
            chunks = [_in_turn(columns, chunk) for columns, chunk in zip(chunks, batch, strict=True)]
        longest = max((len(column) for columns in chunks for column in columns), default=0)
        padded = [[column + [_COMPLETE] * (longest - len(column)) for column in columns] for columns in chunks]
        shape = (len(batch), len(batch[0]) if batch else 0, longest, 3)
        table = torch.tensor(padded, dtype=torch.float64).reshape(shape).permute(2, 0, 1, 3)
        return cls(
            num_steps=longest,
            masked_after=table[..., 0].to(device, torch.int64),
            progress=table[..., 1].to(device, torch.float32),
            temperature=table[..., 2].to(device, torch.float32),
        )


def _entries(ranking: Ranking, schedule: Schedule, temperature: float, fade: Fade) -> list[Entry]:
    counts = masked_counts(ranking.unknown, ranking.num_steps, schedule, ranking.reference)
    progress = [(step + 1) / ranking.num_steps for step in range(len(counts))]
    return list(zip(counts, progress, ranking_temperatures(ranking.num_steps, temperature, fade), strict=False))


def _in_turn(columns: list[list[Entry]], chunk: Sequence[Ranking]) -> list[list[Entry]]:
    begins = [0, *accumulate(len(column) for column in columns[:-1])]
    return [
        [(ranking.unknown, 0.0, 0.0)] * begin + column
        for ranking, begin, column in zip(chunk, begins, columns, strict=True)
    ]
