"""Real, small, untrained checkpoints for the tests of this folder."""

import numpy as np
import pytest
import torch
from untrained import CAMERAS, write_untrained

from dvla_ros.control.observation import Observation
from dvla_ros.policies.systems import SYSTEMS
from dvla_ros.policies.token_system import TokenSystem

torch.set_num_threads(1)  # small matrices: more threads only wait for each other

TOKEN_SYSTEMS = tuple(name for name, system in SYSTEMS.items() if isinstance(system, TokenSystem))


@pytest.fixture
def write(tmp_path):
    """A function that writes a checkpoint of a system and returns its folder."""
    return lambda system, **changes: write_untrained(tmp_path / system, system, **changes)


@pytest.fixture(params=TOKEN_SYSTEMS)
def any_checkpoint(request, write):
    """A checkpoint of each token system in turn."""
    return write(request.param)


@pytest.fixture
def checkpoint(write):
    return write("dd_vla")


@pytest.fixture
def observation():
    random = np.random.default_rng(1)
    images = {name: random.integers(0, 256, (48, 64, 3), dtype=np.uint8) for name in CAMERAS}
    return Observation(stamp=0.0, images=images, state=np.full(7, 0.1), instruction="pick up the red cube")
