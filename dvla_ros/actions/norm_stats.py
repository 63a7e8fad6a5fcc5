"""The `norm_stats.json` of UniVLA and UD-VLA: quantiles of actions, without extremes and without a mask."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.actions.normalization import Normalizer, chosen_key
from dvla_ros.errors import ActionError, CheckpointError

FloatArray = NDArray[np.float64]

_FIELDS = ("mean", "std", "q01", "q99")


@dataclass(frozen=True)
class NormStats:
    """Per-column statistics of actions.

    Attributes:
        mean, std, q01, q99: float64 `[D]` in physical units, the quantiles from a histogram.

    Raises:
        ActionError: The fields do not all have the same length D.
    """

    mean: FloatArray
    std: FloatArray
    q01: FloatArray
    q99: FloatArray

    def __post_init__(self) -> None:
        shapes = {name: getattr(self, name).shape for name in _FIELDS}
        if len(set(shapes.values())) != 1 or self.mean.ndim != 1:
            raise ActionError(f"All statistics must have one shape [D], got {shapes}.")

    @classmethod
    def load(cls, path: Path, key: str | None = None) -> "NormStats":
        """Read `{"norm_stats": {key: {"mean": [D], "std": [D], "q01": [D], "q99": [D]}}}`.

        Args:
            path: The file.
            key: The data set; None where the file holds only one. `<key>_no_noops` is tried after `<key>`.

        Raises:
            CheckpointError: The file or the key is missing, the key is needed, or the block is incomplete.
        """
        if not path.is_file():
            raise CheckpointError(f"There are no action statistics at {path}.")
        try:
            blocks = json.loads(path.read_text(encoding="utf-8"))["norm_stats"]
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} has no JSON object 'norm_stats': {error!r}.") from error
        block = blocks[chosen_key(blocks, key, path)]
        if missing := [name for name in _FIELDS if name not in block]:
            raise CheckpointError(f"The statistics in {path} lack {missing}; they hold {sorted(block)}.")
        return cls(**{name: np.asarray(block[name], dtype=np.float64) for name in _FIELDS})

    def normalizer(self, mask: ArrayLike | None = None) -> Normalizer:
        """Between the quantiles; only the forward direction has OpenVLA's 1e-8.

        Args:
            mask: bool `[D]`, columns to normalise; None for all, as UD-VLA does, the gripper among them.

        Raises:
            ActionError: The mask has another length.
        """
        chosen = np.ones(self.q01.shape, dtype=np.bool_) if mask is None else np.asarray(mask, dtype=np.bool_)
        return Normalizer(self.q01, self.q99, chosen, inverse_epsilon=0.0)
