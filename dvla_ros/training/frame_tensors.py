"""What a network reads of every frame besides its pictures and its sentence, normalised once and held in memory."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.normalization import DatasetStatistics, Normalizer
from dvla_ros.policies.frozen_way import FrozenWay
from dvla_ros.training.demonstrations import Demonstrations


@dataclass(frozen=True)
class FrameTensors:
    """Columns of all frames, as in `training.batch.Batch`.

    Attributes:
        state: float32 `[N, S]` normalised.
        pixels: float32 `[N, C, 2, 2]` in 0..1; NaN where not known.
        points: float32 `[N, 2, 3]` in the units of the normalised state's x, y, z; NaN where not known.
        frozen: int64 `[N]`, leading actions that were being executed.
        moved: float32 `[N, 3]`, how far those take the gripper, in the units of the normalised state's x, y, z.
    """

    state: Tensor
    pixels: Tensor
    points: Tensor
    frozen: Tensor
    moved: Tensor

    @classmethod
    def of(cls, demonstrations: Demonstrations, statistics: DatasetStatistics) -> "FrameTensors":
        """Normalise the states by their extremes."""
        normalizer = Normalizer.from_statistics(statistics.proprio, "min_max")
        return cls(
            state=torch.from_numpy(normalizer.normalize(demonstrations.states).astype(np.float32)),
            pixels=torch.from_numpy(demonstrations.pixels),
            points=torch.from_numpy(normalize_points(demonstrations.points, normalizer)),
            frozen=torch.from_numpy(demonstrations.frozen),
            moved=torch.from_numpy(FrozenWay(normalizer).of(_frozen_actions(demonstrations))),
        )


def normalize_points(points: np.ndarray, normalizer: Normalizer) -> np.ndarray:
    """Points `[..., 3]` in m as float32 in the units of the normalised state's x, y, z; not clipped."""
    low, high = normalizer.low[:3], normalizer.high[:3]
    scaled: np.ndarray = (2.0 * (points - low) / (high - low) - 1.0).astype(np.float32)
    return scaled


def _frozen_actions(demonstrations: Demonstrations) -> np.ndarray:
    """The actions `[N, H, D]` that were being executed, zero where they are to be decided."""
    horizon = demonstrations.actions.shape[1]
    frozen: np.ndarray = np.arange(horizon) < demonstrations.frozen[:, None]
    return np.where(frozen[..., None], demonstrations.actions, 0.0)
