"""Training-time masking: what the network is asked to recover."""

import torch
from torch import Tensor

from dvla_ros.denoising.noise import TRAINING, Noise
from dvla_ros.denoising.sampling import lowest
from dvla_ros.denoising.schedules import schedule_named
from dvla_ros.errors import ActionError


def mask_for_training(
    tokens: Tensor,
    mask_token: int,
    noise: Noise,
    *,
    schedule: str = "cosine",
    min_masked: int = 1,
    frozen_prefix: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Mask a random part of each row, as Discrete Diffusion VLA is trained.

    Per row: u ~ U[0, 1), ratio = clamp(schedule(u), 1e-6, 1), n = max(min_masked, round(free * ratio)) positions
    chosen uniformly. The loss is the cross entropy at the masked positions.

    Args:
        tokens: int64 `[B, L]`, the true canvas.
        mask_token: Id written where masked.
        noise: Of the rows of `tokens`, of which draws 0 and 1 are taken.
        schedule: Distribution of the mask ratio, see `schedules`.
        min_masked: Least number of masked positions; all free ones where there are fewer.
        frozen_prefix: int64 `[B]`, leading positions of each row that stay visible; None for none. This is how the
            network learns to continue a chunk that is being executed (DiscreteRTC, arXiv 2604.25050).

    Returns:
        The corrupted canvas int64 `[B, L]` and the masked positions bool `[B, L]`.

    Raises:
        ActionError: `frozen_prefix` does not hold one number per row.
        ConfigurationError: There is no such schedule.
    """
    rows, length = tokens.shape
    if frozen_prefix is None:
        frozen_prefix = torch.zeros(rows, dtype=torch.int64, device=tokens.device)
    if frozen_prefix.shape != (rows,):
        raise ActionError(f"frozen_prefix must have shape [{rows}], got {list(frozen_prefix.shape)}.")
    free = torch.arange(length, device=tokens.device) >= frozen_prefix.unsqueeze(1)

    count = free.sum(dim=1, keepdim=True)
    ratio = schedule_named(schedule)(noise.uniform(1, step=TRAINING), count)
    wanted = torch.round(count * ratio).long()
    lottery = noise.uniform(length, step=TRAINING, draw=1)
    is_masked = lowest(lottery, free, wanted.clamp_min(min_masked))
    return tokens.masked_fill(is_masked, mask_token), is_masked


def mask_independently(
    tokens: Tensor,
    mask_token: int,
    noise: Noise,
    *,
    least_ratio: float = 1e-3,
    fixed: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Mask each position with the probability t ~ U[0, 1) of its row, as LLaDA is trained.

    Args:
        tokens: int64 `[B, L]`, the true canvas.
        mask_token: Id written where masked.
        noise: Of the rows of `tokens`, of which draws 0 and 1 are taken.
        least_ratio: epsilon of t <- (1 - epsilon) t + epsilon.
        fixed: bool `[B, L]` or `[L]`, positions that are given and never masked; None for none.

    Returns:
        The corrupted canvas int64 `[B, L]`, the masked positions bool `[B, L]` and the ratios t `[B, 1]`.
    """
    ratio = noise.uniform(1, step=TRAINING) * (1.0 - least_ratio) + least_ratio
    is_masked = noise.uniform(tokens.shape[1], step=TRAINING, draw=1) < ratio
    if fixed is not None:
        is_masked = is_masked & ~fixed
    return tokens.masked_fill(is_masked, mask_token), is_masked, ratio
