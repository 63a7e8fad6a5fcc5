"""What is not a usable checkpoint is refused with what is wrong with it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dvla_ros.errors import CheckpointError
from dvla_ros.models.networks import make_network
from dvla_ros.policies.checkpoint import (
    CONFIG,
    STATISTICS,
    WEIGHTS,
    read_config,
    read_part,
    read_statistics,
    read_weights,
    write_checkpoint,
)


def edit_config(folder, **changes):
    path = folder / CONFIG
    values = json.loads(path.read_text())
    values.update(changes)
    path.write_text(json.dumps(values))


def edit_weights(folder, change):
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def test_what_is_written_is_read_back(checkpoint, tmp_path):
    config = read_config(checkpoint)
    statistics = read_statistics(checkpoint, config.spec)
    model = make_network(config.model)
    read_weights(checkpoint, model)
    write_checkpoint(tmp_path / "copy", config, model.state_dict(), statistics)
    assert read_config(tmp_path / "copy") == config
    for name in (CONFIG, STATISTICS):
        assert (tmp_path / "copy" / name).read_text() == (checkpoint / name).read_text()
    tensors, copies = load_file(checkpoint / WEIGHTS), load_file(tmp_path / "copy" / WEIGHTS)
    assert tensors.keys() == copies.keys() and all(torch.equal(tensors[k], copies[k]) for k in tensors)


def test_the_spec_says_what_the_checkpoint_needs_and_gives(checkpoint):
    spec = read_config(checkpoint).spec
    assert (spec.system, spec.cameras, spec.state_dim) == ("dd_vla", ("front", "wrist"), 7)
    assert (spec.horizon, len(spec.action_names), spec.execute_steps, spec.dt) == (8, 7, 3, 0.2)
    assert not spec.imagines and not spec.reasons


def test_a_missing_folder(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"no checkpoint folder .*nowhere; pass the folder that holds config\.json"
    ):
        read_config(tmp_path / "nowhere")


def test_a_folder_without_a_config(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        read_config(tmp_path)


def test_missing_weights(checkpoint):
    (checkpoint / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"no model\.safetensors; it may be an unfinished checkpoint"):
        read_weights(checkpoint, make_network(read_config(checkpoint).model))


def test_broken_weights(checkpoint):
    (checkpoint / WEIGHTS).write_bytes(b"not safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read"):
        read_weights(checkpoint, make_network(read_config(checkpoint).model))


def test_missing_statistics(checkpoint):
    (checkpoint / STATISTICS).unlink()
    with pytest.raises(CheckpointError, match=r"no data-set statistics at .*dataset_statistics\.json"):
        read_statistics(checkpoint, read_config(checkpoint).spec)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temperature": 1}, r"unknown keys \['temperature'\]; known are .*execute_steps"),
        ({"model": {"network": "small_vla", "hedas": 3}}, r"unknown keys \['model.hedas'\]"),
        ({"model": {"network": "llama"}}, "model.network is 'llama'; this version knows small_vla, small_divla"),
        ({"model": {"network": "small_vla", "perception": {"widht": 3}}}, "model.perception.widht"),
        ({"coding": {"kind": "morse"}}, "coding.kind must be one of"),
        ({"cameras": ["front"]}, "1 cameras and 7 action columns, the network has 2 and 7"),
        ({"action_names": ["x"] * 8}, "8 action columns"),
        ({"control_mode": "WARP"}, "'WARP' is not one of JOINT_POSITION"),
        ({"execute_steps": 9}, r"execute_steps must be 1\.\.8"),
        ({"dt": 0.0}, "dt positive"),
    ],
)
def test_a_config_that_cannot_be_names_the_file_and_the_key(checkpoint, changes, words):
    edit_config(checkpoint, **changes)
    with pytest.raises(CheckpointError, match=rf"config\.json: .*{words}"):
        read_config(checkpoint)


def test_a_config_without_a_needed_key(checkpoint):
    values = json.loads((checkpoint / CONFIG).read_text())
    del values["model"]
    (checkpoint / CONFIG).write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=r"model.network is None"):
        read_config(checkpoint)


@pytest.mark.parametrize("text", ["{", "[]", "null", '"config"'])
def test_a_config_that_is_not_an_object(checkpoint, text):
    (checkpoint / CONFIG).write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_config(checkpoint)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop("segments.action.head.bias"), "missing segments.action.head.bias"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "unexpected extra"),
        (
            lambda tensors: tensors.update({"segments.action.head.bias": torch.zeros(3)}),
            r"segments\.action\.head\.bias is \[3\], expected \[256\]",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(checkpoint, change, words):
    edit_weights(checkpoint, change)
    with pytest.raises(CheckpointError, match=words):
        read_weights(checkpoint, make_network(read_config(checkpoint).model))


def test_another_action_dimension_than_the_statistics(checkpoint):
    values = json.loads((checkpoint / STATISTICS).read_text())
    for block in values.values():
        block["action"] = {name: column[:6] for name, column in block["action"].items()}
    (checkpoint / STATISTICS).write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=r"for 6 action and 7 state columns, config\.json for 7 and 7"):
        read_statistics(checkpoint, read_config(checkpoint).spec)


def test_a_network_for_another_action_dimension_does_not_take_the_weights(checkpoint):
    config = read_config(checkpoint)
    values = json.loads((checkpoint / CONFIG).read_text())
    values["model"]["action_dim"] = values["model"]["segments"][0]["columns"] = 14
    values["action_names"] = [f"joint_{i}" for i in range(14)]
    (checkpoint / CONFIG).write_text(json.dumps(values))
    other = read_config(checkpoint)
    assert other.model.action_dim == 14 != config.model.action_dim
    with pytest.raises(CheckpointError, match=r"column is \[1, 7, 24\], expected \[1, 14, 24\]"):
        read_weights(checkpoint, make_network(other.model))


def test_the_config_in_python_is_checked_too(checkpoint):
    config = read_config(checkpoint)
    with pytest.raises(CheckpointError, match="3 cameras"):
        replace(config, cameras=("front", "wrist", "side"))
    assert np.isclose(config.dt, 0.2)


def test_one_part_of_a_network_can_be_taken_from_a_checkpoint_of_another_system(write):
    source = write("dd_vla")
    model = make_network(read_config(write("llada_vla")).model)
    with torch.no_grad():
        model.perception.position.zero_()
    read_part(source, model, "perception")
    saved = load_file(source / WEIGHTS)
    assert all(torch.equal(t, saved[f"perception.{name}"]) for name, t in model.perception.state_dict().items())
    with pytest.raises(CheckpointError, match="action"):
        read_part(source, model, "segments")
