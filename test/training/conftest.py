"""Two collected episodes and settings of tiny runs, shared by the tests of this folder."""

import pytest
import torch

from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.vq import VqConfig, VqTokenizer
from dvla_ros.training.collect import CollectConfig, collect
from dvla_ros.training.config import TrainConfig
from dvla_ros.training.demonstrations import read_demonstrations

torch.set_num_threads(1)  # small matrices: more threads only wait for each other


@pytest.fixture(scope="session")
def collected(tmp_path_factory):
    """Folder of one episode per shard, with how the collection reported it."""
    folder = tmp_path_factory.mktemp("demonstrations")
    config = CollectConfig(out=folder, episodes=2, seed=3, weights=(1.0, 0.0, 0.0, 1.0), episodes_per_shard=1)
    return folder, list(collect(config))


@pytest.fixture(scope="session")
def demonstrations(collected):
    """The collected frames, in memory."""
    return read_demonstrations([collected[0]])


@pytest.fixture(scope="session")
def image_tokenizer(tmp_path_factory):
    """Folder of a tiny, untrained image tokenizer: four codes an image."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vq")
    VqTokenizer(VqConfig(image_width=16, image_height=16, codebook_size=8, widths=(8, 8, 8))).eval().save(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_run(collected, image_tokenizer):
    """A function that makes the settings of a tiny run: `tiny_run(out, system, **changes)`."""

    def settings(out, system="dd_vla", **changes):
        sizes = PerceptionConfig(width=24, keypoints=2)
        defaults = {"steps": 6, "batch_size": 2, "threads": 1, "heads": 3, "layers": 1, "perception": sizes}
        if system == "ud_vla" and "init" not in changes:
            defaults["vq"] = image_tokenizer
        return TrainConfig((collected[0],), out, system, **{**defaults, **changes})

    return settings
