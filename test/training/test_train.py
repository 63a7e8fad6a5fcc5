"""From collected demonstrations to a checkpoint that loads and predicts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dvla_ros.control.observation import Observation
from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.load import load_policy
from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.training.train import Trainer, fit_statistics


def silent(progress):
    pass


def weights(folder):
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def trained(tiny_run, tmp_path_factory):
    """A checkpoint after six steps, and what was reported on the way."""
    out, lines = tmp_path_factory.mktemp("trained"), []
    Trainer(tiny_run(out, report_every=2)).run(lines.append)
    return out, lines


def test_it_reports_and_logs_as_it_goes(trained):
    out, lines = trained
    assert [line.step for line in lines] == [2, 4, 6]
    assert set(lines[0].losses) == {"total", "tokens", "expectation", "grounding", "localising"}
    assert all(np.isfinite(list(line.losses.values())).all() for line in lines)
    logged = [json.loads(line) for line in (out / "training_log.jsonl").read_text().splitlines()]
    assert [line["losses"] for line in logged] == [line.losses for line in lines]


def test_the_checkpoint_predicts_within_the_statistics(trained, demonstrations):
    policy = load_policy(trained[0])
    images = dict(zip(CAMERAS, demonstrations.images[0], strict=True))
    observation = Observation(0.0, images, demonstrations.states[0].astype(float), "pick up the red cube")
    prediction, statistics = policy.predict(observation, seed=0), fit_statistics(demonstrations).action
    assert prediction.actions.shape == (8, 7)
    assert (prediction.actions[:, :6] >= statistics.q01[:6] - 1e-6).all()
    assert (prediction.actions[:, :6] <= statistics.q99[:6] + 1e-6).all()
    assert (prediction.actions == policy.predict(observation, seed=0).actions).all()


@pytest.mark.parametrize(
    ("system", "parts"),
    [
        ("ud_vla", {"all", "images", "tokens"}),
        ("llada_vla", {"tokens"}),
        ("dfm_vla", {"tokens"}),
        ("diffusion_vla", {"noise", "reasoning"}),
    ],
)
def test_every_other_system_trains_on_its_own_loss(tiny_run, tmp_path, system, parts):
    lines = []
    Trainer(tiny_run(tmp_path, system, steps=2)).run(lines.append)
    assert set(lines[-1].losses) == parts | {"total", "grounding", "localising"}
    assert load_policy(tmp_path).spec.system == system


@pytest.mark.parametrize("system", ["dd_vla", "llada_vla", "dfm_vla", "diffusion_vla"])
def test_frames_whose_chunk_is_decided_to_its_end_do_no_harm(tiny_run, demonstrations, tmp_path, system):
    assert demonstrations.frozen.max() > 2
    Trainer(tiny_run(tmp_path, system, horizon=2, batch_size=8)).run(silent)
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path).values())


def test_training_is_reproducible_and_moves_the_weights(tiny_run, trained, tmp_path):
    Trainer(tiny_run(tmp_path / "again")).run(silent)
    Trainer(tiny_run(tmp_path / "other", seed=1)).run(silent)
    first, again, other = (weights(folder) for folder in (trained[0], tmp_path / "again", tmp_path / "other"))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_run_can_start_from_a_checkpoint(tiny_run, trained, tmp_path):
    trainer = Trainer(tiny_run(tmp_path, init=trained[0]))
    saved = weights(trained[0])
    assert all(torch.equal(tensor, saved[name]) for name, tensor in trainer.model.state_dict().items())


def test_a_backbone_gives_perception_trunk_and_statistics_and_may_stay_as_it_is(tiny_run, trained, tmp_path):
    changes = {"steps": 2, "backbone": trained[0], "freeze_perception": True}
    trainer, lines = Trainer(tiny_run(tmp_path, "llada_vla", **changes)), []
    before, started = weights(trained[0]), {k: v.clone() for k, v in trainer.model.state_dict().items()}
    trainer.run(lines.append)
    after, trunk = weights(tmp_path), [name for name in before if name.startswith("trunk.")]
    assert all(torch.equal(before[name], started[name]) for name in trunk)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("perception."))
    assert any(not torch.equal(before[name], after[name]) for name in trunk)
    assert set(lines[-1].losses) == {"total", "tokens"}
    kept = [(folder / "dataset_statistics.json").read_text() for folder in (trained[0], tmp_path)]
    assert kept[0] == kept[1]


def test_a_trunk_with_other_heads_is_refused(tiny_run, trained, tmp_path):
    with pytest.raises(ConfigurationError, match="has 3 heads; set heads=3, got 6"):
        Trainer(tiny_run(tmp_path, backbone=trained[0], heads=6))


def test_what_is_saved_is_the_average_not_the_last(tiny_run, tmp_path):
    trainer = Trainer(tiny_run(tmp_path))
    trainer.run(silent)
    saved, last = weights(tmp_path), trainer.model.state_dict()
    assert all(torch.equal(saved[name], tensor) for name, tensor in trainer.loop.average.weights.items())
    assert any(not torch.equal(saved[name], last[name]) for name in saved)


def test_statistics_normalise_everything_but_the_gripper(demonstrations):
    statistics = fit_statistics(demonstrations)
    assert statistics.action.mask.tolist() == [True] * 6 + [False]
    assert statistics.num_transitions == len(demonstrations) and statistics.num_trajectories == 2
    rows = demonstrations.actions.reshape(-1, 7)
    assert statistics.action.mean == pytest.approx(rows.mean(axis=0), abs=1e-6)
    assert statistics.action.max == pytest.approx(rows.max(axis=0))
    assert statistics.proprio.min == pytest.approx(demonstrations.states.min(axis=0))


@pytest.mark.parametrize("change", [{"image_width": 64}, {"image_height": 48}, {"cameras": 1}, {"state_dim": 6}])
def test_a_perception_for_other_data_is_refused(tiny_run, tmp_path, change):
    config = tiny_run(tmp_path)
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        Trainer(replace(config, perception=replace(config.perception, **change)))
