"""What each denoising step has to do, worked out before the first so that no step has to ask the device."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.denoising.schedules import Schedule, masked_counts


@dataclass(frozen=True)
class StepPlan:
    """Schedule tables of a batch in which each chunk may have its own number of unknowns and of steps.

    Attributes:
        num_steps: S, the most steps any chunk of the batch takes; 0 when nothing is unknown.
        masked_after: int64 `[S, B, 1]`, positions that stay masked after the step.
        progress: float32 `[S, B, 1]`, r = (s + 1) / T after the step; 1 once a chunk is complete.
        ratio_before: float32 `[S, B, 1]`, mask ratio of the schedule before the step.
        is_last: bool `[S, B, 1]`, whether the chunk is complete after the step.
    """

    num_steps: int
    masked_after: Tensor
    progress: Tensor
    ratio_before: Tensor
    is_last: Tensor

    @classmethod
    def make(
        cls, unknown: Sequence[int], num_steps: Sequence[int], schedule: Schedule, device: torch.device
    ) -> "StepPlan":
        """Tables for chunks with these numbers of masked positions and of steps."""
        counts = [masked_counts(u, t, schedule) for u, t in zip(unknown, num_steps, strict=True)]
        longest = max((len(column) for column in counts), default=0)
        masked_after = torch.tensor(
            [[column[s] if s < len(column) else 0 for column in counts] for s in range(longest)], dtype=torch.int64
        ).reshape(longest, len(counts))
        step = torch.arange(longest, dtype=torch.float64).unsqueeze(1)
        total = torch.tensor(num_steps, dtype=torch.float64)
        progress = torch.where(masked_after == 0, 1.0, ((step + 1) / total).clamp(max=1.0))
        ratio_before = schedule((step / total).clamp(max=1.0), torch.tensor(unknown, dtype=torch.int64))

        def table(values: Tensor, dtype: torch.dtype) -> Tensor:
            return values.unsqueeze(-1).to(device=device, dtype=dtype)

        return cls(
            num_steps=longest,
            masked_after=table(masked_after, torch.int64),
            progress=table(progress, torch.float32),
            ratio_before=table(ratio_before, torch.float32),
            is_last=table(masked_after == 0, torch.bool),
        )
