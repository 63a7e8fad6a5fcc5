"""From collected demonstrations to a checkpoint that loads and predicts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dvla_ros.control.observation import Observation
from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.models.small_vla import SmallVlaConfig
from dvla_ros.policies.load import load_policy
from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.training.demonstrations import read_demonstrations
from dvla_ros.training.train import TrainConfig, Trainer, fit_statistics

SIZES = SmallVlaConfig(width=24, heads=3, layers=1, keypoints=2)


@pytest.fixture(scope="module")
def demonstrations(collected):
    return read_demonstrations([collected[0]])


def config(collected, out, **changes):
    return TrainConfig((collected[0],), out, **{"steps": 6, "batch_size": 4, "threads": 1, "model": SIZES, **changes})


@pytest.fixture(scope="module")
def trained(collected, tmp_path_factory):
    """A checkpoint after six steps, and what was reported on the way."""
    out, lines = tmp_path_factory.mktemp("trained"), []
    Trainer(config(collected, out)).run(lines.append, report_every=2)
    return out, lines


def test_it_reports_and_logs_as_it_goes(trained):
    out, lines = trained
    assert [line.step for line in lines] == [2, 4, 6]
    assert all(np.isfinite([line.tokens, line.expectation, line.grounding, line.localising]).all() for line in lines)
    logged = [json.loads(line) for line in (out / "training_log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in logged] == [2, 4, 6]


def test_the_checkpoint_predicts_within_the_statistics(trained, demonstrations):
    policy = load_policy(trained[0])
    images = dict(zip(CAMERAS, demonstrations.images[0], strict=True))
    observation = Observation(0.0, images, demonstrations.states[0].astype(float), "pick up the red cube")
    prediction, statistics = policy.predict(observation, seed=0), fit_statistics(demonstrations).action
    assert prediction.actions.shape == (8, 7)
    assert (prediction.actions[:, :6] >= statistics.q01[:6] - 1e-6).all()
    assert (prediction.actions[:, :6] <= statistics.q99[:6] + 1e-6).all()
    assert (prediction.actions == policy.predict(observation, seed=0).actions).all()
    assert policy.spec.dt == 0.2 and policy.spec.cameras == CAMERAS


def test_training_is_reproducible_and_moves_the_weights(collected, trained, tmp_path):
    Trainer(config(collected, tmp_path / "again")).run(lambda progress: None)
    Trainer(config(collected, tmp_path / "other", seed=1)).run(lambda progress: None)
    first, again, other = (
        load_file(folder / "model.safetensors") for folder in (trained[0], tmp_path / "again", tmp_path / "other")
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_run_can_start_from_a_checkpoint(collected, trained, tmp_path):
    trainer = Trainer(config(collected, tmp_path, init=trained[0]))
    saved = load_file(trained[0] / "model.safetensors")
    assert all(torch.equal(tensor, saved[name]) for name, tensor in trainer.model.state_dict().items())


def test_a_start_of_another_size_is_refused(collected, trained, tmp_path):
    with pytest.raises(CheckpointError, match="expected"):
        Trainer(config(collected, tmp_path, init=trained[0], model=replace(SIZES, width=48)))


def test_what_is_saved_is_the_average_not_the_last(collected, tmp_path):
    trainer = Trainer(config(collected, tmp_path))
    trainer.run(lambda progress: None)
    saved, last = load_file(tmp_path / "model.safetensors"), trainer.model.state_dict()
    assert all(torch.equal(saved[name], tensor) for name, tensor in trainer.average.state_dict().items())
    assert any(not torch.equal(saved[name], last[name]) for name in saved)


def test_statistics_normalise_everything_but_the_gripper(demonstrations):
    statistics = fit_statistics(demonstrations)
    assert statistics.action.mask.tolist() == [True] * 6 + [False]
    assert statistics.num_transitions == len(demonstrations) and statistics.num_trajectories == 2
    rows = demonstrations.actions.reshape(-1, 7)
    assert statistics.action.mean == pytest.approx(rows.mean(axis=0), abs=1e-6)
    assert statistics.action.max == pytest.approx(rows.max(axis=0))
    assert statistics.proprio.min == pytest.approx(demonstrations.states.min(axis=0))


@pytest.mark.parametrize("change", [{"steps": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"threads": 0}])
def test_settings_out_of_range_are_refused(collected, tmp_path, change):
    with pytest.raises(ConfigurationError, match="must be positive"):
        config(collected, tmp_path, **change)


def test_a_network_for_other_data_is_refused(collected, tmp_path):
    for change in ({"action_dim": 6}, {"horizon": 4}, {"image_width": 64}, {"cameras": 1}):
        with pytest.raises(ConfigurationError, match=next(iter(change))):
            Trainer(config(collected, tmp_path, model=replace(SIZES, **change)))
