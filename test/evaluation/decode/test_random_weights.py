"""Fresh layouts whose weights are drawn where they are used."""

import pytest
import torch

from dvla_ros.evaluation.decode import random_weights
from dvla_ros.evaluation.decode.made_up import made_up_observation
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh import WRITERS
from dvla_ros.weights.tensor_files import TensorFiles


@pytest.mark.parametrize("system", ["dd_vla", "ud_vla", "llada_vla", "diffusion_vla"])
def test_without_weights_the_files_have_all_tensors_and_hold_zeros(system, tmp_path):
    with_, without = tmp_path / "a" / "with", tmp_path / "b" / "without"
    WRITERS[system](with_, size="small", seed=0)
    WRITERS[system](without, size="small", seed=0, weights=False)
    full, empty = TensorFiles.open(with_), TensorFiles.open(without)
    assert {name: full.shape(name) for name in full.names} == {name: empty.shape(name) for name in empty.names}
    assert not any(empty.read(name).any() for name in empty.names)
    files = [path for path in without.glob("model*.safetensors")]
    assert sum(512 * path.stat().st_blocks for path in files) < 0.2 * sum(path.stat().st_size for path in files)


def test_drawn_weights_decode(tmp_path):
    deployment = Deployment(horizon=8)
    WRITERS["dd_vla"](tmp_path / "run", size="small", seed=0, weights=False)
    policy = random_weights.open_layout(tmp_path / "run", deployment, torch.device("cpu"), torch.float32, draw=True)
    weight = policy.network.model.language_model.trunk.layers[0].self_attn.q_proj.weight
    assert float(weight.std()) == pytest.approx(random_weights.SPREAD, rel=0.1)
    prediction = policy.predict(made_up_observation(policy.spec), seed=0)
    assert prediction.actions.shape == (8, 7) and prediction.usable
    assert len(set(prediction.tokens.ravel())) > 10


def test_the_temporary_folder_is_removed():
    with random_weights.fresh_layout("dd_vla", "small") as folder:
        assert (folder / "config.json").is_file()
    assert not folder.exists()
