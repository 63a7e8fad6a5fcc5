"""DexVLA's `dataset_stats.pkl`: the range of the actions, mean and deviation of the states (`qpos`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvla_ros.actions.normalization import FloatArray, Normalizer
from dvla_ros.actions.standardizer import Standardizer
from dvla_ros.errors import ActionError, CheckpointError
from dvla_ros.weights.restricted_pickle import read_array_pickle

FILE = "dataset_stats.pkl"
_NEEDED = ("action_min", "action_max", "qpos_mean", "qpos_std")


@dataclass(frozen=True)
class DexVlaStatistics:
    """How the numbers of a checkpoint are scaled.

    Attributes:
        actions: Between the extremes of the data. The training code moves them outward by 1e-4 before it writes them,
            so they are used as they stand.
        state: By mean and deviation, the deviation 1e-2 at least.
    """

    actions: Normalizer
    state: Standardizer

    @classmethod
    def load(cls, path: Path) -> "DexVlaStatistics":
        """Read the file; nothing that it names is run.

        Raises:
            CheckpointError: It is missing, unreadable or incomplete, or its numbers are no statistics.
        """
        arrays = read_array_pickle(path)
        if missing := [name for name in _NEEDED if name not in arrays]:
            raise CheckpointError(
                f"{path} lacks {missing}, it holds {sorted(arrays)}; copy the {FILE} of the training run."
            )
        low, high, mean, std = (_columns(arrays, name, path) for name in _NEEDED)
        try:
            actions = Normalizer(low, high, _all(low), epsilon=0.0, inverse_epsilon=0.0)
            return cls(actions, Standardizer(mean, std, _all(mean)))
        except ActionError as error:
            raise CheckpointError(f"{path} holds no usable statistics: {error}") from error

    def check_widths(self, actions: int, state: int, path: Path) -> None:
        """Compare with the action head's columns.

        Raises:
            CheckpointError: The numbers of columns differ.
        """
        if (self.actions.dim, self.state.dim) != (actions, state):
            raise CheckpointError(
                f"{path} is for {self.actions.dim} action and {self.state.dim} state columns, the action head for "
                f"{actions} and {state}; take both from the same training run."
            )


def _columns(arrays: Mapping[str, np.ndarray], name: str, path: Path) -> FloatArray:
    if arrays[name].ndim != 1:
        raise CheckpointError(f"{path}: {name} must be a row of numbers, got shape {list(arrays[name].shape)}.")
    return arrays[name].astype(np.float64)


def _all(columns: FloatArray) -> np.ndarray:
    return np.ones(columns.shape, dtype=np.bool_)
