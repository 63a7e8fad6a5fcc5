"""A checkpoint folder becomes a policy, or an error that names what to do."""

import json

import pytest
import torch

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.policies.checkpoint import CONFIG
from dvla_ros.policies.load import load_policy


def test_it_loads_what_the_checkpoint_says(checkpoint, observation):
    policy = load_policy(checkpoint)
    assert policy.spec.system == "dd_vla"
    assert policy.predict(observation, seed=0).actions.shape == (8, 7)


def test_a_missing_folder(tmp_path):
    with pytest.raises(CheckpointError, match="pass the folder that holds"):
        load_policy(tmp_path / "nowhere")


def test_an_unknown_system_is_named_with_those_there_are(checkpoint):
    values = json.loads((checkpoint / CONFIG).read_text())
    (checkpoint / CONFIG).write_text(json.dumps({**values, "system": "telepathy"}))
    known = "dd_vla, ud_vla, llada_vla, dfm_vla, diffusion_vla"
    with pytest.raises(CheckpointError, match=f"'telepathy'; this version runs {known}"):
        load_policy(checkpoint)


def test_cuda_without_a_gpu_says_what_to_use(checkpoint, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match=r"device=cuda:0 .*no CUDA GPU; use device=cpu"):
        load_policy(checkpoint, device="cuda:0")


@pytest.mark.parametrize("device", ["gpu", "cpu:x", ""])
def test_a_device_that_does_not_exist(checkpoint, device):
    with pytest.raises(ConfigurationError, match="device"):
        load_policy(checkpoint, device=device)


def test_decoder_settings_can_be_replaced_by_name(checkpoint, observation):
    assert load_policy(checkpoint, decoding={"num_steps": 3}).predict(observation, seed=0).nfe == 3


def test_an_unknown_decoder_setting_is_named_with_the_known_ones(checkpoint):
    with pytest.raises(ConfigurationError, match=r"no settings \['steps'\]; it has .*num_steps"):
        load_policy(checkpoint, decoding={"steps": 3})


def test_a_decoder_setting_out_of_range_is_refused(checkpoint):
    with pytest.raises(ConfigurationError, match="num_steps"):
        load_policy(checkpoint, decoding={"num_steps": 0})
