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

    @property
    def last(self) -> int:
        """The last k."""
        return max(0, self.total - 1)

    def at(self, index: int) -> int:
        """K of a step of the batch; it stays at the last one."""
        return min(index + self.skipped, self.last)

    def validates(self, k: int) -> bool:
        """Whether step k takes the arg-max."""
        return k >= self.total - self.validating


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
        has_validating: S values likewise: whether any row takes the arg-max.
        has_last: S values likewise: whether any row is complete after the step.
    """

    num_steps: int
    time: Tensor
    width: Tensor
    validates: Tensor
    is_last: Tensor
    has_fine: tuple[bool, ...]
    has_validating: tuple[bool, ...]
    has_last: tuple[bool, ...]

    @classmethod
    def make(cls, rows: Sequence[RowSteps], device: torch.device) -> "FlowPlan":
        """Tables for rows with these steps."""
        num_steps = max((row.total - row.skipped for row in rows), default=0)
        steps = [[row.at(index) for row in rows] for index in range(num_steps)]

        def table(values: Sequence[Sequence[float]], dtype: torch.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device).reshape(num_steps, len(rows), 1)

        lasts = [[k == row.last for row, k in zip(rows, ks, strict=True)] for ks in steps]
        validates = [[row.validates(k) for row, k in zip(rows, ks, strict=True)] for ks in steps]
        return cls(
            num_steps=num_steps,
            time=table(
                [[k / max(1, row.total) for row, k in zip(rows, ks, strict=True)] for ks in steps], torch.float32
            ),
            width=torch.tensor([[1 / max(1, row.total)] for row in rows], dtype=torch.float32, device=device),
            validates=table(validates, torch.bool),
            is_last=table(lasts, torch.bool),
            has_fine=tuple(not all(step) for step in validates),
            has_validating=tuple(map(any, validates)),
            has_last=tuple(map(any, lasts)),
        )
