"""Normalisation of actions and states by data-set statistics, in the layout of OpenVLA's `dataset_statistics.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.errors import ActionError, CheckpointError, ConfigurationError

FloatArray = NDArray[np.float64]
Bounds = Literal["quantile", "min_max", "widened_min_max"]

_EPSILON = 1e-8  # OpenVLA's guard against a column that never changes
_MARGIN = 1e-4  # DexVLA's guard, on either side
_FIELDS = ("mean", "std", "max", "min", "q01", "q99")


@dataclass(frozen=True)
class FeatureStatistics:
    """Per-column statistics of actions or states.

    Attributes:
        mean, std, max, min, q01, q99: float64 `[D]` in physical units.
        mask: bool `[D]`, columns that are normalised; the others pass through (a gripper already in 0..1).

    Raises:
        ActionError: The fields do not all have the same length D.
    """

    mean: FloatArray
    std: FloatArray
    max: FloatArray
    min: FloatArray
    q01: FloatArray
    q99: FloatArray
    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        shapes = {name: getattr(self, name).shape for name in (*_FIELDS, "mask")}
        if len(set(shapes.values())) != 1 or self.mean.ndim != 1:
            raise ActionError(f"All statistics must have one shape [D], got {shapes}.")

    @classmethod
    def fit(cls, data: ArrayLike, mask: ArrayLike | None = None) -> "FeatureStatistics":
        """Statistics of rows.

        Args:
            data: `[N, D]`, N > 0, finite.
            mask: bool `[D]`; None normalises every column.

        Raises:
            ActionError: `data` is not a non-empty matrix, is not finite, or `mask` has another length.
        """
        rows = np.asarray(data, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[0] == 0 or not np.isfinite(rows).all():
            raise ActionError(f"Statistics need finite rows [N, D] with N > 0, got shape {list(rows.shape)}.")
        q01, q99 = np.quantile(rows, [0.01, 0.99], axis=0)
        chosen = np.ones(rows.shape[1], dtype=np.bool_) if mask is None else np.asarray(mask, dtype=np.bool_)
        return cls(rows.mean(0), rows.std(0), rows.max(0), rows.min(0), q01, q99, chosen)

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> "FeatureStatistics":
        """Read an `action` or `proprio` block; a missing `mask` means that every column is normalised.

        Raises:
            CheckpointError: A statistic is missing.
        """
        missing = [name for name in _FIELDS if name not in block]
        if missing:
            raise CheckpointError(f"The statistics lack {missing}; they hold {sorted(block)}.")
        columns = {name: np.asarray(block[name], dtype=np.float64) for name in _FIELDS}
        mask = np.asarray(block.get("mask", np.ones(columns["mean"].shape)), dtype=np.bool_)
        return cls(**columns, mask=mask)

    def to_json(self) -> dict[str, list[float] | list[bool]]:
        """The block as it stands in `dataset_statistics.json`."""
        return {name: getattr(self, name).tolist() for name in (*_FIELDS, "mask")}


@dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of one data set, stored under its key.

    Attributes:
        action: Of the action rows.
        proprio: Of the state vectors.
        num_transitions: Rows the statistics were taken from.
        num_trajectories: Episodes they came from.
    """

    action: FeatureStatistics
    proprio: FeatureStatistics
    num_transitions: int
    num_trajectories: int

    @classmethod
    def load(cls, path: Path, key: str | None = None) -> "DatasetStatistics":
        """Read one data set's statistics from a `dataset_statistics.json`.

        Args:
            path: The file.
            key: The data set; None where the file holds only one. `<key>_no_noops` is tried after `<key>`.

        Raises:
            CheckpointError: The file or the key is missing, the key is needed, or the block is incomplete.
        """
        if not path.is_file():
            raise CheckpointError(f"There are no data-set statistics at {path}.")
        blocks: dict[str, Any] = json.loads(path.read_text())
        block = blocks[chosen_key(blocks, key, path)]
        missing = [name for name in ("action", "proprio") if name not in block]
        if missing:
            raise CheckpointError(f"The statistics in {path} lack {missing}; they hold {sorted(block)}.")
        return cls(
            action=FeatureStatistics.from_json(block["action"]),
            proprio=FeatureStatistics.from_json(block["proprio"]),
            num_transitions=int(block.get("num_transitions", 0)),
            num_trajectories=int(block.get("num_trajectories", 0)),
        )

    def save(self, path: Path, key: str) -> None:
        """Write the statistics under their key, as the only data set of the file."""
        block = {
            "action": self.action.to_json(),
            "proprio": self.proprio.to_json(),
            "num_transitions": self.num_transitions,
            "num_trajectories": self.num_trajectories,
        }
        path.write_text(json.dumps({key: block}, indent=2) + "\n")


def chosen_key(blocks: Mapping[str, Any], key: str | None, path: Path) -> str:
    """The key of a file's blocks that `key` means: itself, `<key>_no_noops`, or with None the only one there is.

    Raises:
        CheckpointError: There is none, or several and no name.
    """
    if key is None and len(blocks) == 1:
        return next(iter(blocks))
    for candidate in (key, f"{key}_no_noops"):
        if candidate is not None and candidate in blocks:
            return candidate
    problem = "Name one of the data sets" if key is None else f"There is no data set '{key}'"
    raise CheckpointError(f"{problem} in {path}; it holds {sorted(blocks)}.")


@dataclass(frozen=True)
class Normalizer:
    """Maps each column linearly from low..high to -1..1 and back; columns outside the mask pass through.

    a_n = clip(2 (a - low) / (high - low + 1e-8) - 1, -1, 1), the BOUNDS and BOUNDS_Q99 modes of OpenVLA.

    Attributes:
        low: float64 `[D]`, becomes -1.
        high: float64 `[D]`, becomes 1.
        mask: bool `[D]`, columns to normalise.
        epsilon: The 1e-8 of `normalize`.
        inverse_epsilon: That of `unnormalize`; 0 in UD-VLA, whose round trip is therefore off by as much.

    Raises:
        ActionError: Lengths differ, a bound is not finite, low exceeds high, an epsilon is negative, or `epsilon` is
            0 and a normalised column never changes.
    """

    low: FloatArray
    high: FloatArray
    mask: NDArray[np.bool_]
    epsilon: float = _EPSILON
    inverse_epsilon: float = _EPSILON

    def __post_init__(self) -> None:
        if self.low.ndim != 1 or not self.low.shape == self.high.shape == self.mask.shape:
            raise ActionError(
                f"low, high and mask need one shape [D], got {self.low.shape}, {self.high.shape}, {self.mask.shape}."
            )
        if not (np.isfinite(self.low) & np.isfinite(self.high) & (self.low <= self.high)).all():
            raise ActionError(f"Bounds must be finite with low <= high, got {self.low} and {self.high}.")
        if self.epsilon < 0 or self.inverse_epsilon < 0:
            raise ActionError(f"The epsilons must not be negative, got {self.epsilon} and {self.inverse_epsilon}.")
        if self.epsilon == 0 and (self.mask & (self.low == self.high)).any():
            raise ActionError("A normalised column never changes; give a positive epsilon or mask the column.")

    @classmethod
    def from_statistics(cls, statistics: FeatureStatistics, bounds: Bounds = "quantile") -> "Normalizer":
        """Between bounds of the data.

        Args:
            statistics: Of the data.
            bounds: `quantile`, the 1st and 99th percentile; `min_max`, the extremes (ALOHA); `widened_min_max`, the
                extremes moved outward by 1e-4, and no epsilon (DexVLA).

        Raises:
            ConfigurationError: `bounds` is none of these.
        """
        if bounds == "quantile":
            return cls(statistics.q01, statistics.q99, statistics.mask)
        if bounds == "min_max":
            return cls(statistics.min, statistics.max, statistics.mask)
        if bounds == "widened_min_max":
            low, high = statistics.min - _MARGIN, statistics.max + _MARGIN
            return cls(low, high, statistics.mask, epsilon=0.0, inverse_epsilon=0.0)
        raise ConfigurationError(f"bounds must be one of {get_args(Bounds)}, got {bounds!r}.")

    @property
    def dim(self) -> int:
        """Number of columns D."""
        return int(self.low.shape[0])

    def normalize(self, values: ArrayLike) -> FloatArray:
        """Physical values `[..., D]` to float64 `[..., D]` in -1..1.

        Raises:
            ActionError: Another number of columns.
        """
        physical = self._checked(values)
        scaled = np.clip(2 * (physical - self.low) / self._width(self.epsilon) - 1, -1, 1)
        return np.where(self.mask, scaled, physical)

    def unnormalize(self, values: ArrayLike) -> FloatArray:
        """Normalised values `[..., D]` to physical float64 `[..., D]`; exact where nothing was clipped.

        Raises:
            ActionError: Another number of columns.
        """
        normalized = self._checked(values)
        physical = 0.5 * (normalized + 1) * self._width(self.inverse_epsilon) + self.low
        return np.where(self.mask, physical, normalized)

    def _width(self, epsilon: float) -> FloatArray:
        # Where the mask says no, the quotient is not used, but must not divide by zero either.
        return np.where(self.mask, self.high - self.low + epsilon, 1.0)

    def _checked(self, values: ArrayLike) -> FloatArray:
        array = np.asarray(values, dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != self.dim:
            raise ActionError(f"The statistics are for {self.dim} columns, got values of shape {list(array.shape)}.")
        return array
