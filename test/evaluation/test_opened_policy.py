"""An opened policy decodes what the policy itself predicts."""

import numpy as np
import pytest
import torch

from dvla_ros.control.observation import Observation
from dvla_ros.denoising.loop import denoise
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.opened_policy import OpenedPolicy
from dvla_ros.nodes.node_table import shipped_checkpoint
from dvla_ros.policies.load import load_policy

torch.set_num_threads(1)  # small matrices: more threads only wait for each other


@pytest.fixture(scope="module")
def observation():
    random = np.random.default_rng(1)
    images = {name: random.integers(0, 256, (96, 128, 3), dtype=np.uint8) for name in ("front", "wrist")}
    return Observation(stamp=0.0, images=images, state=np.full(7, 0.1), instruction="pick up the red cube")


@pytest.fixture(scope="module")
def opened():
    return OpenedPolicy.from_checkpoint(shipped_checkpoint("dd_vla"))


@pytest.mark.parametrize("settings", [{}, {"decoder": "one_shot"}])
def test_it_decodes_what_the_policy_predicts(opened, observation, settings):
    predicted = load_policy(shipped_checkpoint("dd_vla"), decoding=settings).predict(observation, seed=4)

    result = denoise(opened.network(observation), opened.canvas, opened.decoder(settings), seeds=[4])

    assert np.array_equal(result.tokens[0].numpy(), predicted.tokens.flatten())
    assert np.array_equal(opened.chunk(result.tokens[0]).actions, predicted.actions)


def test_an_unknown_setting_is_refused(opened):
    with pytest.raises(ConfigurationError, match="no settings"):
        opened.decoder({"speed": 3})
