"""Chunks of one token per number: OpenVLA, Discrete Diffusion VLA, LLaDA-VLA."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.actions.bins import ActionBins
from dvla_ros.actions.chunk_codec import DecodedChunk, checked_chunks, checked_tokens
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.errors import ConfigurationError


@dataclass(frozen=True)
class BinChunkCodec:
    """Normalise by the data set, then cut into bins; token step * D + column, so L = H * D.

    A column outside the normaliser's mask, such as a gripper in 0..1, goes into the bins as it is. The round-trip
    error is at most half a bin, beside what lies outside the normaliser's bounds, which is clipped. Every token is
    some number: nothing decodes as malformed.

    Attributes:
        normalizer: Physical units to -1..1.
        bins: -1..1 to ids.
        horizon: H.
        binary_columns: Columns that are either low or high, such as the gripper of LLaDA-VLA: they take the first or
            the last bin, the side of the middle deciding, and decode to exactly the normaliser's low or high.

    Raises:
        ConfigurationError: `horizon` is not positive, or a binary column does not exist or is not normalised.
    """

    normalizer: Normalizer
    bins: ActionBins
    horizon: int
    binary_columns: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise ConfigurationError(f"horizon must be at least 1, got {self.horizon}.")
        normalized = set(np.flatnonzero(self.normalizer.mask).tolist())
        if wrong := sorted(set(self.binary_columns) - normalized):
            raise ConfigurationError(
                f"Binary columns must be among the normalised ones {sorted(normalized)}, got {wrong}."
            )

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return self.bins.num_bins

    @property
    def length(self) -> int:
        """Token positions per chunk, H * D."""
        return self.horizon * self.dim

    @property
    def dim(self) -> int:
        """Numbers in an action, D."""
        return self.normalizer.dim

    def encode(self, actions: ArrayLike) -> NDArray[np.int64]:
        """See `ChunkCodec.encode`."""
        normalized = self._binarised(self.normalizer.normalize(checked_chunks(actions, self)))
        return self.bins.encode(normalized).reshape(*normalized.shape[:-2], self.length)

    def decode(self, tokens: ArrayLike) -> DecodedChunk:
        """See `ChunkCodec.decode`."""
        grid = checked_tokens(tokens, self).reshape(self.horizon, self.dim)
        normalized = self._binarised(self.bins.decode(grid))
        return DecodedChunk(self.normalizer.unnormalize(normalized).astype(np.float32))

    def _binarised(self, normalized: NDArray[np.float64]) -> NDArray[np.float64]:
        binary = np.isin(np.arange(self.dim), self.binary_columns)
        # NaN stays NaN, so that the bins can refuse it.
        side = np.where(normalized > 0, 1.0, np.where(np.isnan(normalized), np.nan, -1.0))
        return np.where(binary, side, normalized)
