"""Two collected episodes, shared by the tests of this folder."""

import pytest
import torch

from dvla_ros.training.collect import CollectConfig, collect

torch.set_num_threads(1)  # small matrices: more threads only wait for each other


@pytest.fixture(scope="session")
def collected(tmp_path_factory):
    """Folder of one episode per shard, with how the collection reported it."""
    folder = tmp_path_factory.mktemp("demonstrations")
    config = CollectConfig(out=folder, episodes=2, seed=3, weights=(1.0, 0.0, 0.0, 1.0), episodes_per_shard=1)
    return folder, list(collect(config))
