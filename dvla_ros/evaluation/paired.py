"""Two policies on the same questions: how much better one is, told from how hard the questions are."""

from collections.abc import Sequence

import numpy as np

from dvla_ros.evaluation.open_loop.bootstrap import LEVEL, Interval
from dvla_ros.evaluation.open_loop.sample import Sample

_FEWEST = 3


def mae_difference(
    samples: Sequence[Sample], reference: Sequence[Sample], draws: int, seed: int
) -> tuple[float, Interval]:
    """Mean absolute error of one policy less that of another, over the numbers that both were asked for.

    Args:
        samples: Of the policy.
        reference: Of the other one; questions that only one was asked do not count.
        draws: Of the bootstrap, which draws whole episodes.
        seed: Of the draws.

    Returns:
        The difference, below zero: the policy is better; NaN where nothing can be compared. Its 95 % interval, NaN
        with fewer than three episodes.
    """
    others = {(sample.episode, sample.anchor): sample for sample in reference}
    sums: dict[int, list[float]] = {}
    for sample in samples:
        other = others.get((sample.episode, sample.anchor))
        if other is None or other.predicted.shape != sample.predicted.shape:
            continue
        change = np.abs(sample.predicted - sample.recorded) - np.abs(other.predicted - other.recorded)
        known = np.isfinite(change)
        total = sums.setdefault(sample.episode, [0.0, 0.0])
        total[0] += float(change[known].sum())
        total[1] += float(known.sum())
    found = np.array([total for total in sums.values() if total[1] > 0.0]).reshape(-1, 2)
    if not len(found):
        return float("nan"), Interval(float("nan"), float("nan"))
    return float(found[:, 0].sum() / found[:, 1].sum()), _interval(found, draws, seed)


def _interval(episodes: np.ndarray, draws: int, seed: int) -> Interval:
    """Of the quotient of the sums of two columns `[E, 2]`."""
    if len(episodes) < _FEWEST:
        return Interval(float("nan"), float("nan"))
    drawn = np.random.default_rng(seed).integers(len(episodes), size=(draws, len(episodes)))
    sums = episodes[drawn].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Interval(float(low), float(high))
