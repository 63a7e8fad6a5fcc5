"""Mean-and-deviation normalisation of states, as in DexVLA and DiVLA."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.actions.normalization import FeatureStatistics
from dvla_ros.errors import ActionError

FloatArray = NDArray[np.float64]

STD_FLOOR = 1e-2
"""DexVLA's least deviation, in physical units: a joint that hardly moves does not become loud noise."""


@dataclass(frozen=True)
class Standardizer:
    """x_n = (x - mean) / max(std, floor); columns outside the mask pass through.

    Attributes:
        mean: float64 `[D]`.
        std: float64 `[D]`, not negative.
        mask: bool `[D]`, columns to normalise.
        floor: Least deviation to divide by, positive.

    Raises:
        ActionError: Lengths differ, a number is not finite, a deviation is negative or the floor not positive.
    """

    mean: FloatArray
    std: FloatArray
    mask: NDArray[np.bool_]
    floor: float = STD_FLOOR

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or not self.mean.shape == self.std.shape == self.mask.shape:
            raise ActionError(
                f"mean, std and mask need one shape [D], got {self.mean.shape}, {self.std.shape}, {self.mask.shape}."
            )
        if not (np.isfinite(self.mean) & np.isfinite(self.std) & (self.std >= 0)).all():
            raise ActionError(f"mean and std must be finite, std not negative, got {self.mean} and {self.std}.")
        if not 0 < self.floor < np.inf:
            raise ActionError(f"The floor of the deviation must be positive, got {self.floor}.")

    @classmethod
    def from_statistics(cls, statistics: FeatureStatistics, floor: float = STD_FLOOR) -> "Standardizer":
        """By the mean and deviation of a data set."""
        return cls(statistics.mean, statistics.std, statistics.mask, floor)

    @property
    def dim(self) -> int:
        """Number of columns D."""
        return int(self.mean.shape[0])

    def normalize(self, values: ArrayLike) -> FloatArray:
        """Physical values `[..., D]` to float64 `[..., D]` of mean 0 and deviation 1, not clipped.

        Raises:
            ActionError: Another number of columns.
        """
        physical = self._checked(values)
        return np.where(self.mask, (physical - self.mean) / self._deviation, physical)

    def unnormalize(self, values: ArrayLike) -> FloatArray:
        """Normalised values `[..., D]` to physical float64 `[..., D]`.

        Raises:
            ActionError: Another number of columns.
        """
        normalized = self._checked(values)
        return np.where(self.mask, normalized * self._deviation + self.mean, normalized)

    @property
    def _deviation(self) -> FloatArray:
        return np.maximum(self.std, self.floor)

    def _checked(self, values: ArrayLike) -> FloatArray:
        array = np.asarray(values, dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != self.dim:
            raise ActionError(f"The statistics are for {self.dim} columns, got values of shape {list(array.shape)}.")
        return array
