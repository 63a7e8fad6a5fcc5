"""The actions that a policy was trained on, and which recorded ones lie outside."""

from dataclasses import dataclass

import numpy as np

_MARGIN = 0.05
"""Part of the range by which a value may lie outside."""


@dataclass(frozen=True)
class PolicyRange:
    """What each column of a policy's actions was in training.

    Attributes:
        low: `[D]`, usually the 1st percentile.
        high: `[D]`, usually the 99th.
    """

    low: np.ndarray
    high: np.ndarray

    def outside(self, recorded: np.ndarray) -> np.ndarray:
        """Share of the recorded values `[..., D]` outside by more than a twentieth of the range, `[D]`.

        NaN for a column that has no range, or of which nothing was recorded.
        """
        rows = recorded.reshape(-1, recorded.shape[-1])
        width = self.high - self.low
        margin = _MARGIN * width
        known = np.isfinite(rows)
        beyond = known & ((rows < self.low - margin) | (rows > self.high + margin))
        total = known.sum(axis=0)
        shares = beyond.sum(axis=0) / np.maximum(total, 1)
        return np.where((total > 0) & (width > 0.0), shares, np.nan)
