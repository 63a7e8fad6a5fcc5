"""Uniform intervals over -1..1: a continuous action number to one of few tokens, as in LLaDA-VLA."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.errors import ActionError, ConfigurationError

LLADA_FIRST_ROW = 126352
"""First of 32 embedding rows that LLaDA-V leaves unused; which rows LLaDA-VLA takes is unpublished."""


class UniformIntervals:
    """N equal intervals of -1..1 and their centres (arXiv 2509.06932 has N = 32).

    Unlike `bins.UniformBins`, whose N ids are N edges and therefore one interval fewer, every id has a centre of its
    own. An encoded and decoded number is off by at most half an interval, 1 / N.

    Args:
        num_bins: N.

    Raises:
        ConfigurationError: Fewer than 2 intervals.
    """

    def __init__(self, num_bins: int = 32) -> None:
        if num_bins < 2:
            raise ConfigurationError(f"num_bins must be at least 2, got {num_bins}.")
        self.num_bins = num_bins
        edges = np.linspace(-1.0, 1.0, num_bins + 1)
        self._inner_edges = edges[1:-1]
        self.centres: NDArray[np.float64] = (edges[:-1] + edges[1:]) / 2
        """float64 `[N]`, the value that each id decodes to."""

    def encode(self, values: ArrayLike) -> NDArray[np.int64]:
        """Normalised numbers of any shape to ids 0..N-1; what lies outside -1..1 gets the nearest.

        Raises:
            ActionError: A number is NaN or infinite.
        """
        numbers = np.asarray(values, dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise ActionError("Cannot encode NaN or infinite actions; check the data or the normalisation statistics.")
        return np.asarray(np.digitize(numbers, self._inner_edges), dtype=np.int64)

    def decode(self, ids: ArrayLike) -> NDArray[np.float64]:
        """Ids of any shape to the centres of their intervals.

        Raises:
            ActionError: An id is not in 0..N-1.
        """
        index = np.asarray(ids, dtype=np.int64)
        if index.size and (index.min() < 0 or index.max() >= self.num_bins):
            raise ActionError(f"Bin ids must be 0..{self.num_bins - 1}, got {index.min()}..{index.max()}.")
        return np.asarray(self.centres[index], dtype=np.float64)

    def to_vocabulary(self, ids: ArrayLike, first_row: int = LLADA_FIRST_ROW) -> NDArray[np.int64]:
        """Interval ids to tokens of a language model: N of them in ascending order from `first_row`."""
        return first_row + np.asarray(ids, dtype=np.int64)

    def from_vocabulary(self, tokens: ArrayLike, first_row: int = LLADA_FIRST_ROW) -> NDArray[np.int64]:
        """Language-model tokens to interval ids; `decode` refuses those of other tokens."""
        return np.asarray(tokens, dtype=np.int64) - first_row
