"""The time of every denoising step of flow matching, worked out before the first so that no step asks the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class RowSteps(NamedTuple):
    """The steps of one row: k = skipped..total-1, at t = k / total.

    Attributes:
        total: T that divides the unit of time, 0 when nothing is unknown.
        validating: The last of them, which take the arg-max.
        skipped: The first of them, which a warm start makes unnecessary.
    """

    total: int
    validating: int
    skipped: int


@dataclass(frozen=True)
class FlowPlan:
    """Tables of a batch in which each row may have its own number of steps; S is the most that any row takes.

    Attributes:
        num_steps: S.
        time: float32 `[S, B, 1]`, t before the step; stays at the last one once a row is complete.
        width: float32 `[B, 1]`, h = 1 / T.
        validates: bool `[S, B, 1]`, whether the step takes the arg-max.
        is_last: bool `[S, B, 1]`, whether the row is complete after the step.
        has_fine: S values, known without the device: whether any row still takes a fine step.
    """

    num_steps: int
    time: Tensor
    width: Tensor
    validates: Tensor
    is_last: Tensor
    has_fine: tuple[bool, ...]

    @classmethod
    def make(cls, rows: Sequence[RowSteps], device: torch.device) -> "FlowPlan":
        """Tables for rows with these steps."""
        num_steps = max((row.total - row.skipped for row in rows), default=0)
        total, validating, skipped = (torch.tensor(column) for column in zip(*rows, strict=True))
        last = (total - 1).clamp_min(0)
        k = torch.minimum(torch.arange(num_steps).unsqueeze(1) + skipped, last)
        validates = k >= total - validating
        divisor = total.clamp_min(1)
        return cls(
            num_steps=num_steps,
            time=(k.double() / divisor).float().unsqueeze(-1).to(device),
            width=(1 / divisor.double()).float().unsqueeze(-1).to(device),
            validates=validates.unsqueeze(-1).to(device),
            is_last=(k == last).unsqueeze(-1).to(device),
            has_fine=tuple((~validates).any(dim=-1).tolist()),
        )
