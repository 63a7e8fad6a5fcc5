"""Which episodes are kept back for validation."""

import numpy as np

from dvla_ros.errors import ConfigurationError


def validation_episodes(episodes: int, share: float, seed: int) -> frozenset[int]:
    """Numbers of the episodes to validate with: a share of all, drawn by the seed.

    Whole episodes, because neighbouring frames look alike. At least one is drawn and at least one left to train with.

    Args:
        episodes: How many there are.
        share: 0 (none) up to but not 1.
        seed: The same seed draws the same episodes.

    Raises:
        ConfigurationError: The share is out of range, or there are too few episodes to divide.
    """
    if not 0.0 <= share < 1.0:
        raise ConfigurationError(f"The share for validation must be 0 or more and below 1, got {share}.")
    if share == 0.0:
        return frozenset()
    if episodes < 2:
        raise ConfigurationError(f"{episodes} episode cannot be divided into training and validation; record more.")
    count = min(max(round(share * episodes), 1), episodes - 1)
    return frozenset(int(i) for i in np.random.default_rng(seed).permutation(episodes)[:count])
