"""A real, small, untrained checkpoint for the tests of this folder."""

import numpy as np
import pytest
import torch

from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics
from dvla_ros.control.bridge import ACTION_LOWER, ACTION_UPPER
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.masked import MaskedConfig
from dvla_ros.models.small_vla import SmallVla, SmallVlaConfig
from dvla_ros.policies.checkpoint import CheckpointConfig, write_checkpoint

torch.set_num_threads(1)  # small matrices: more threads only wait for each other


def write_small(folder, **changes):
    """Write the checkpoint; `changes` go into its `CheckpointConfig`."""
    torch.manual_seed(0)
    sizes = SmallVlaConfig(image_width=32, image_height=24, vocabulary=64, width=24, heads=3, layers=1, keypoints=2)
    random = np.random.default_rng(0)
    rows = random.uniform(ACTION_LOWER, ACTION_UPPER, size=(200, 7))
    states = random.uniform(-1.0, 1.0, size=(200, 7))
    statistics = DatasetStatistics(FeatureStatistics.fit(rows, np.arange(7) < 6), FeatureStatistics.fit(states), 200, 3)
    config = CheckpointConfig(sizes, MaskedConfig(), **changes)
    write_checkpoint(folder, config, SmallVla(sizes), statistics)
    return folder


@pytest.fixture
def checkpoint(tmp_path):
    return write_small(tmp_path / "checkpoint")


@pytest.fixture
def observation():
    random = np.random.default_rng(1)
    images = {name: random.integers(0, 256, (48, 64, 3), dtype=np.uint8) for name in ("front", "wrist")}
    return Observation(stamp=0.0, images=images, state=np.full(7, 0.1), instruction="pick up the red cube")
