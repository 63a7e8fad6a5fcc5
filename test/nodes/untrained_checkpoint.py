"""Writes a small checkpoint with random weights: it infers like a trained one and knows nothing."""

import sys
from pathlib import Path

import numpy as np
import torch

from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics
from dvla_ros.control.bridge import ACTION_LOWER, ACTION_NAMES, ACTION_UPPER
from dvla_ros.denoising.masked import MaskedConfig
from dvla_ros.models.small_vla import SmallVla, SmallVlaConfig
from dvla_ros.policies.checkpoint import CheckpointConfig, write_checkpoint


def write_untrained(folder: Path, cameras: tuple[str, ...] = ("front", "wrist"), action_dim: int = 7) -> Path:
    """Write the checkpoint and return its folder; increments stay below 1 cm and 0.05 rad."""
    torch.manual_seed(0)
    names = (ACTION_NAMES * 2)[:action_dim]
    sizes = SmallVlaConfig(cameras=len(cameras), action_dim=action_dim, width=40, layers=1)
    limit = np.resize(np.minimum(ACTION_UPPER, 0.01), action_dim)
    rows = np.random.default_rng(0).uniform(-limit, limit, size=(100, action_dim))
    rows[:, -1] = np.abs(rows[:, -1])
    states = np.random.default_rng(0).uniform(ACTION_LOWER * 10, ACTION_UPPER * 10, size=(100, 7))
    statistics = DatasetStatistics(FeatureStatistics.fit(rows), FeatureStatistics.fit(states), 100, 1)
    config = CheckpointConfig(sizes, MaskedConfig(), cameras=cameras, action_names=names)
    write_checkpoint(folder, config, SmallVla(sizes), statistics)
    return folder


if __name__ == "__main__":
    print(write_untrained(Path(sys.argv[1])))
