"""Small published checkpoints, opened for training once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from published import DEPLOYMENTS

from dvla_ros.policies.checkpoint import dataclass_from_json
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh import WRITERS
from dvla_ros.training.published.frames import TaughtFrame

torch.set_num_threads(1)
SENTENCES = ("pick up the red cube", "push the small blue block to the left", "pick up the red cube", "stop")


class Recorded:
    """A `FrameSource` of made-up frames."""

    def __init__(self, cameras, horizon, count=4):
        self.cameras, self.horizon, self.count = cameras, horizon, count

    def __len__(self):
        return self.count

    def frame(self, row):
        random = np.random.default_rng(row)
        images, futures = (
            {name: random.integers(0, 256, (60, 80, 3), dtype=np.uint8) for name in self.cameras} for _ in range(2)
        )
        actions = np.zeros((self.horizon, 7))
        actions[:, 0] = 0.0001 * row
        actions[:, -1] = 0.5  # the FAST tokenizer of a fresh checkpoint writes small numbers only
        state = np.array([0.3, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0])
        return TaughtFrame(
            images, state, SENTENCES[row % 4], actions, futures=futures, reasoning=f"I see {SENTENCES[row % 4]}."
        )


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A function that gives the folder of a system's small checkpoint; only to be read."""
    written: dict[str, Path] = {}

    def folder_of(system):
        if system not in written:
            written[system] = tmp_path_factory.mktemp(system) / f"{system}--50000_chkpt"
            WRITERS[system](written[system], size="small", seed=0)
        return written[system]

    return folder_of


@pytest.fixture(scope="session")
def deployment():
    """A function that gives the deployment of a system's small checkpoint, with changes."""
    return lambda system, **changes: dataclass_from_json(Deployment, {**DEPLOYMENTS[system], **changes})


@pytest.fixture(scope="session")
def recorded():
    """Makes a source of frames for a setup."""
    return lambda setup, count=4: Recorded(setup.spec.cameras, setup.spec.horizon, count)
