"""Uniform bins over -1..1: a continuous action number to one token, as in OpenVLA."""

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.errors import ActionError, ConfigurationError

OPENVLA_VOCABULARY = 32000  # Llama-2's, without the padding and mask tokens that were added


class ActionBins(Protocol):
    """Numbers in -1..1 to ids 0..num_bins-1 and back: `UniformBins`, `intervals.UniformIntervals`."""

    num_bins: int
    centres: NDArray[np.float64]

    def encode(self, values: ArrayLike) -> NDArray[np.int64]:
        """Normalised numbers of any shape to ids."""
        ...

    def decode(self, ids: ArrayLike) -> NDArray[np.float64]:
        """Ids of any shape to the centres of their bins."""
        ...


class UniformBins:
    """N edges from -1 to 1 and the N - 1 centres between them, with OpenVLA's treatment of the ends.

    OpenVLA digitises a to d in 1..N, where edge d is the last one not above a, and writes the token V - d. Here ids
    count from the lowest value, k = d - 1 in 0..N-1, so that V - 1 - k is OpenVLA's token. Id N - 1 stands for the
    edge a = 1 alone and decodes to the same centre as N - 2. An encoded and decoded number is off by at most half a
    bin, 1 / (N - 1).

    Args:
        num_bins: N, the number of edges and of token ids.

    Raises:
        ConfigurationError: Fewer than 2 bins.
    """

    def __init__(self, num_bins: int = 256) -> None:
        if num_bins < 2:
            raise ConfigurationError(f"num_bins must be at least 2, got {num_bins}.")
        self.num_bins = num_bins
        self._edges = np.linspace(-1.0, 1.0, num_bins)
        middles = (self._edges[:-1] + self._edges[1:]) / 2
        self.centres: NDArray[np.float64] = np.append(middles, middles[-1])
        """float64 `[N]`, the value that each id decodes to."""

    def encode(self, values: ArrayLike) -> NDArray[np.int64]:
        """Normalised numbers of any shape to ids 0..N-1; what lies outside -1..1 gets the nearest.

        Raises:
            ActionError: A number is NaN or infinite.
        """
        numbers = np.asarray(values, dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise ActionError("Cannot encode NaN or infinite actions; check the data or the normalisation statistics.")
        return np.asarray(np.digitize(np.clip(numbers, -1.0, 1.0), self._edges) - 1, dtype=np.int64)

    def decode(self, ids: ArrayLike) -> NDArray[np.float64]:
        """Ids of any shape to bin centres.

        Raises:
            ActionError: An id is not in 0..N-1.
        """
        index = np.asarray(ids, dtype=np.int64)
        if index.size and (index.min() < 0 or index.max() >= self.num_bins):
            raise ActionError(f"Bin ids must be 0..{self.num_bins - 1}, got {index.min()}..{index.max()}.")
        return np.asarray(self.centres[index], dtype=np.float64)

    def to_vocabulary(self, ids: ArrayLike, vocabulary: int = OPENVLA_VOCABULARY) -> NDArray[np.int64]:
        """Bin ids to tokens V - d of a language model's vocabulary of V: the last N, in descending order."""
        return vocabulary - 1 - np.asarray(ids, dtype=np.int64)

    def from_vocabulary(self, tokens: ArrayLike, vocabulary: int = OPENVLA_VOCABULARY) -> NDArray[np.int64]:
        """Language-model tokens to bin ids; a token that is no action gets the nearest extreme, as in OpenVLA."""
        return np.clip(vocabulary - 1 - np.asarray(tokens, dtype=np.int64), 0, self.num_bins - 1)
