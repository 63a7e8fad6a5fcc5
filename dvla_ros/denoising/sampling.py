"""Drawing and ranking primitives of the decoders; none of them waits for the device."""

import torch
from torch import Tensor

from dvla_ros.denoising.noise import Noise

_TINY = 1e-20
_BLOCK, _MANY = 128, 4096  # ids
_ASK_NUMPY = True  # tests of what must not wait for the device take the other way
_OUT_OF_REACH = 1e4  # more than any two log probabilities of at least 1e-20 differ, noise included


def likeliest(score: Tensor) -> Tensor:
    """The id of the highest score at each position, the first of equals: int64 `[B, L]` from float `[B, L, V]`."""
    if _ASK_NUMPY and score.device.type == "cpu" and score.dtype == torch.float32:
        return torch.from_numpy(score.detach().numpy().argmax(axis=-1))  # ten times as fast as PyTorch's
    return score.argmax(dim=-1)


def safe_log(value: Tensor) -> Tensor:
    """log(max(value, 1e-20)): finite for a probability of 0."""
    return torch.log(value.clamp_min(_TINY))


def sample(log_p: Tensor, temperature: float, noise: Noise, *, step: int, draw: int = 0) -> Tensor:
    """A token per position from softmax(log p / temperature).

    Args:
        log_p: float `[B, L, V]`, log probabilities, or logits.
        temperature: 0 for the arg-max.
        noise: Of these rows.
        step: Denoising step of the noise.
        draw: Which draw of the step.

    Returns:
        int64 `[B, L]`.
    """
    if temperature == 0:
        return likeliest(log_p)
    scaled = log_p if temperature == 1 else log_p / temperature
    return sample_weights(torch.softmax(scaled, dim=-1), noise, step=step, draw=draw)


def sample_weights(weights: Tensor, noise: Noise, *, step: int, draw: int = 0) -> Tensor:
    """As `sample`, in proportion to weights float `[B, L, V]`; where all are 0 it may be any id.

    The distribution function is inverted at one uniform number per position: multinomial would wait for the device, and
    adding Gumbel noise needs a number, and two logarithms, for every id.
    """
    share = noise.uniform(weights.shape[1], step=step, draw=draw).unsqueeze(-1)
    drawn = (_inverted_by_blocks if weights.shape[-1] >= _MANY else _inverted)(weights, share)
    possible = weights.gather(-1, drawn) > 0  # sums are rounded, on a GPU in no fixed order
    return torch.where(possible.squeeze(-1), drawn.squeeze(-1), likeliest(weights))


def _inverted(weights: Tensor, share: Tensor) -> Tensor:
    """Where the sum of the weights `[B, L, V]` first exceeds this share `[B, L, 1]` of all, int64 `[B, L, 1]`."""
    function = weights.cumsum(dim=-1)
    return _first_above(share * function[..., -1:], function)


def _inverted_by_blocks(weights: Tensor, share: Tensor) -> Tensor:
    """The same in less time where there are many: sums are faster than running sums, of which one block needs some."""
    vocabulary = weights.shape[-1]
    whole = vocabulary - vocabulary % _BLOCK
    blocks = weights[..., :whole].view(*weights.shape[:-1], -1, _BLOCK)
    sums = blocks.sum(dim=-1)
    sums = torch.cat([sums, weights[..., whole:].sum(dim=-1, keepdim=True)], dim=-1)
    function = sums.cumsum(dim=-1)
    level = share * function[..., -1:]
    block = _first_above(level, function)
    below = function.gather(-1, block) - sums.gather(-1, block)
    ids = block * _BLOCK + torch.arange(_BLOCK, device=weights.device)
    within = weights.gather(-1, ids.clamp_max(vocabulary - 1)) * (ids < vocabulary)
    drawn = block * _BLOCK + _first_above(level - below, within.cumsum(dim=-1))
    return drawn.clamp_max_(vocabulary - 1)


def _first_above(level: Tensor, function: Tensor) -> Tensor:
    return torch.searchsorted(function, level, right=True).clamp_max_(function.shape[-1] - 1)


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
    outside_last = torch.where(pool, score, torch.inf)
    order = outside_last.argsort(dim=-1, stable=True, descending=True)
    rank = torch.arange(score.shape[-1] - 1, -1, -1, device=score.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, rank)


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
