"""Small statistics of experiments."""

from collections.abc import Sequence
from math import comb

import numpy as np

_Z95 = 1.959964


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % confidence interval of a success rate (Wilson 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    centre = (rate + _Z95**2 / (2 * trials)) / (1 + _Z95**2 / trials)
    half = _Z95 / (1 + _Z95**2 / trials) * np.sqrt(rate * (1 - rate) / trials + _Z95**2 / (4 * trials**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def sign_test(better: int, worse: int) -> float:
    """Exact two-sided p of two systems being equal, from the scenes where only one succeeds (McNemar's exact test).

    Args:
        better: Scenes where only the one succeeds.
        worse: Scenes where only the other does.
    """
    differing = better + worse
    if differing == 0:
        return 1.0
    tail = sum(comb(differing, count) for count in range(min(better, worse) + 1))
    return min(1.0, 2.0 * tail / 2.0**differing)


def percentile(values: Sequence[float], q: float) -> float:
    """The q-th percentile, NaN of nothing."""
    return float(np.percentile(values, q)) if len(values) else float("nan")
