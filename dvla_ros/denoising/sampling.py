"""Drawing and ranking primitives of the decoders; none of them waits for the device."""

import torch
from torch import Tensor

from dvla_ros.denoising.noise import Noise

_TINY = 1e-20
_OUT_OF_REACH = 1e4  # more than any two log probabilities of at least 1e-20 differ, noise included


def safe_log(value: Tensor) -> Tensor:
    """log(max(value, 1e-20)): finite for a probability of 0."""
    return torch.log(value.clamp_min(_TINY))


def sample(log_p: Tensor, temperature: float, noise: Noise, *, step: int, draw: int = 0) -> Tensor:
    """A token per position from softmax(log p / temperature): Gumbel-max, as multinomial would wait for the device.

    Args:
        log_p: float `[B, L, V]`.
        temperature: 0 for the arg-max.
        noise: Of these rows.
        step: Denoising step of the noise.
        draw: Which draw of the step.

    Returns:
        int64 `[B, L]`.
    """
    if temperature == 0:
        return log_p.argmax(dim=-1)
    return (log_p + temperature * noise.gumbel(*log_p.shape[1:], step=step, draw=draw)).argmax(dim=-1)


def probability_of(tokens: Tensor, log_p: Tensor) -> Tensor:
    """Probability of each token int64 `[B, L]` under log_p `[B, L, V]`, float `[B, L]`."""
    return log_p.gather(-1, tokens.unsqueeze(-1)).squeeze(-1).exp()


def entropy(log_p: Tensor) -> Tensor:
    """Entropy in nats of each position of log_p `[B, L, V]`, float `[B, L]`."""
    terms: Tensor = torch.special.entr(log_p.exp())
    return terms.sum(dim=-1)


def rank_from_lowest(score: Tensor, pool: Tensor) -> Tensor:
    """How many positions of the pool score lower than each of it; of equal scores the later position ranks lower.

    Args:
        score: float `[B, L]`, finite.
        pool: bool `[B, L]`, positions that are ranked; the others come after them.

    Returns:
        int64 `[B, L]`, each row a permutation of 0..L-1.
    """
    length = score.shape[-1]
    outside_last = score.masked_fill(~pool, torch.inf).flip(-1)
    order = length - 1 - outside_last.argsort(dim=-1, stable=True)
    rank = torch.arange(length, device=score.device).expand_as(order)
    return torch.empty_like(order).scatter(-1, order, rank)


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
    return pool & (rank_from_lowest(score, pool) < count)


def others_last(score: Tensor, first: Tensor | None) -> Tensor:
    """Scores in which every position that is not `first` ranks below all that are.

    Args:
        score: float `[B, L]`, log probabilities, perhaps with Gumbel noise.
        first: bool, broadcast with the scores; None for no preference.
    """
    # Taken from the others, so that the ranking of the first ones loses no precision.
    return score if first is None else score - _OUT_OF_REACH * ~first
