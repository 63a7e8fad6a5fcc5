"""Pixels as the vision towers want them: divided by 255, mean taken off, divided by the spread, channels first."""

from dataclasses import dataclass

import numpy as np
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.preprocessing.rgb_image import RgbImage

Triple = tuple[float, float, float]

_CHANNELS = 3


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation of each of red, green, blue, of values in 0..1.

    Raises:
        ConfigurationError: There are not three of each, or a spread is not positive.
    """

    mean: Triple
    std: Triple

    def __post_init__(self) -> None:
        if len(self.mean) != _CHANNELS or len(self.std) != _CHANNELS:
            raise ConfigurationError(f"Image mean and std have three values each, got {self.mean} and {self.std}.")
        if min(self.std) <= 0:
            raise ConfigurationError(f"Image std must be more than 0, got {self.std}.")


HALVES = ChannelStatistics((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # values in -1..1, for SigLIP and Emu3's image tokenizer


def normalized(image: RgbImage, statistics: ChannelStatistics) -> torch.Tensor:
    """(image / 255 - mean) / std in float32.

    Args:
        image: uint8 `[H, W, 3]`.
        statistics: Mean and spread.

    Returns:
        float32 `[3, H, W]`.
    """
    mean = np.asarray(statistics.mean, dtype=np.float32)
    std = np.asarray(statistics.std, dtype=np.float32)
    values = (image.astype(np.float32) / np.float32(255) - mean) / std
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
