"""Action chunks in physical units to tokens and back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.actions.bins import UniformBins
from dvla_ros.actions.normalization import Normalizer


@dataclass(frozen=True)
class ActionCodec:
    """One token per action number: normalise by the data set, then cut into uniform bins.

    A column outside the normaliser's mask, such as a gripper in 0..1, goes into the bins as it is. The round-trip
    error is at most half a bin: (high - low) / (2 * (N - 1)) in a normalised column, 1 / (N - 1) in another, beside
    what lies outside low..high, which is clipped.

    Attributes:
        normalizer: Physical units to -1..1.
        bins: -1..1 to ids 0..N-1.
    """

    normalizer: Normalizer
    bins: UniformBins

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return self.bins.num_bins

    @property
    def dim(self) -> int:
        """Numbers in an action, D."""
        return self.normalizer.dim

    def encode(self, actions: ArrayLike) -> NDArray[np.int64]:
        """Physical actions `[..., H, D]` to tokens int64 `[..., H, D]`.

        Raises:
            ActionError: Another D, or a number that is not finite.
        """
        return self.bins.encode(self.normalizer.normalize(actions))

    def decode(self, tokens: ArrayLike) -> NDArray[np.float32]:
        """Tokens `[..., H, D]` to physical actions float32 `[..., H, D]`.

        Raises:
            ActionError: Another D, or a token outside the vocabulary (a mask token among them).
        """
        return self.normalizer.unnormalize(self.bins.decode(tokens)).astype(np.float32)
