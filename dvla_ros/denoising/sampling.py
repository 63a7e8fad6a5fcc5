"""Random and ordering primitives of the decoders; none of them waits for the device."""

import torch
from torch import Tensor

_TINY = 1e-20


def gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Independent standard Gumbel noise, -log(-log U), in the shape, dtype and device of `like`."""
    uniform = torch.rand(like.shape, generator=generator, dtype=like.dtype, device=like.device)
    return -torch.log((-torch.log(uniform.clamp_min(_TINY))).clamp_min(_TINY))


def safe_log(value: Tensor) -> Tensor:
    """log(max(value, 1e-20)): finite for a probability of 0."""
    return torch.log(value.clamp_min(_TINY))


def lowest(score: Tensor, pool: Tensor, count: Tensor) -> Tensor:
    """The positions of the pool with the lowest scores, exactly `count` of them however many scores are equal.

    Of equal scores the later position is taken, so that the actions that are due first are settled first.

    Args:
        score: float `[B, L]`, finite.
        pool: bool `[B, L]`, positions that may be taken.
        count: int64 `[B, 1]`, how many; all of the pool where it holds fewer.

    Returns:
        bool `[B, L]`.
    """
    length = score.shape[-1]
    outside_last = score.masked_fill(~pool, torch.inf).flip(-1)
    order = length - 1 - outside_last.argsort(dim=-1, stable=True)
    rank = torch.arange(length, device=score.device).expand_as(order)
    return pool & (torch.empty_like(order).scatter(-1, order, rank) < count)
