"""A published checkpoint is fine-tuned on a training set by the loop, and what comes out loads as it is."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from published import DEPLOYMENTS
from safetensors.torch import load_file

from dvla_ros.cli import main
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh import WRITERS
from dvla_ros.training.collect import CollectConfig, collect
from dvla_ros.training.fine_tune import FineTuner
from dvla_ros.training.fine_tune_config import FineTuneConfig
from dvla_ros.training.published.fine_tuning import FineTuning


def silent(progress):
    pass


@pytest.fixture(scope="module")
def long_labels(tmp_path_factory):
    """One episode whose labels have as many rows as any of the small checkpoints decides at once."""
    folder = tmp_path_factory.mktemp("long")
    list(collect(CollectConfig(out=folder, episodes=1, seed=3, horizon=16, tasks=("pick_red",), moving=0.0)))
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A function that gives the folder of a system's small checkpoint and its deployment file."""
    written = {}

    def of(system):
        if system not in written:
            root = tmp_path_factory.mktemp(system)
            folder, deployment = root / f"{system}--50000_chkpt", root / "deployment.yaml"
            WRITERS[system](folder, size="small", seed=0)
            deployment.write_text(yaml.safe_dump(DEPLOYMENTS[system]))
            written[system] = folder, deployment
        return written[system]

    return of


@pytest.fixture
def settings(published, long_labels):
    """A function that makes the settings of a short run."""

    def of(system, out, **changes):
        folder, deployment = published(system)
        defaults = {"steps": 2, "batch_size": 2, "accumulate": 1, "save_every": 1, "report_every": 1, "threads": 1}
        return FineTuneConfig(folder, (long_labels,), out, deployment, **{**defaults, **changes})

    return of


def losses(folder):
    lines = [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]
    return [(line["step"], line["step_losses"]) for line in lines]


@pytest.mark.parametrize("system", ["dd_vla", "llada_vla", "diffusion_vla"])
def test_what_was_fine_tuned_loads_and_predicts(settings, tmp_path, system):
    config = settings(system, tmp_path / "run")
    tuner = FineTuner(config)
    assert "weights" in tuner.memory and "GB on each device" in tuner.memory
    tuner.run(silent)
    assert all(np.isfinite(list(parts.values())).all() for _, parts in losses(config.out))
    deployment = Deployment.load(config.deployment)
    policy, base = (load_policy(folder, deployment=deployment) for folder in (config.out, config.checkpoint))
    assert policy.spec == base.spec
    images = {name: np.full((96, 128, 3), 90, np.uint8) for name in policy.spec.cameras}
    state = np.array([0.3, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0])
    observation = Observation(0.0, images, state[: policy.spec.state_dim], "pick up the red cube")
    assert policy.predict(observation, seed=0).actions.shape == (policy.spec.horizon, 7)


@pytest.mark.parametrize("system", ["dd_vla", "llada_vla"])
def test_a_conversion_tells_how_far_it_agrees_and_how_fast_it_is(settings, tmp_path, capsys, system):
    config = settings(system, tmp_path / "run")
    deployment = tmp_path / "causal.yaml"
    deployment.write_text(yaml.safe_dump({**DEPLOYMENTS[system], "attention": "block_causal"}))
    words = ["--checkpoint", config.checkpoint, "--data", *config.data, "--out", config.out, "--deployment", deployment]
    words += ["--steps", 2, "--batch-size", 2, "--accumulate", 1, "--peak-tflops", 0.5]
    words += ["--validation", *config.data, "--validation-frames", 3]
    assert main(["fine-tune", *map(str, words)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"TFLOP an observation, .* on 1 device\(s\) of 0.5 TFLOP/s: MFU \d+\.\d%", said)
    assert re.search(r"Before: [\d.]+% of the tokens and [\d.]+% of the chunks of 3 frames", said)
    lines = [json.loads(line) for line in (config.out / "training_log.jsonl").read_text().splitlines()]
    (figures,) = [line["validation"] for line in lines if "validation" in line]
    assert 0.0 <= figures["agreement_chunks"] <= figures["agreement_tokens"] <= 1.0


def test_a_run_that_is_resumed_ends_where_a_whole_one_does(settings, tmp_path):
    whole, parts = (settings("dd_vla", tmp_path / name) for name in ("whole", "parts"))
    FineTuner(whole).run(silent)
    tuner = FineTuner(parts)

    def stop(progress):
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuner.run(stop)
    again = FineTuner(replace(parts, resume=True))
    assert again.run.done == 1
    again.run(silent)
    assert losses(parts.out) == losses(whole.out)
    files = sorted(path.name for path in whole.out.glob("*.safetensors"))
    assert files and files == sorted(path.name for path in parts.out.glob("*.safetensors"))
    for name in files:
        before, after = load_file(whole.out / name), load_file(parts.out / name)
        assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(("system", "cut_out"), [("dd_vla", True), ("llada_vla", False)])
def test_what_an_augmentation_has_cut_out_is_not_cut_out_again(settings, tmp_path, monkeypatch, system, cut_out):
    asked, examples = [], FineTuning.examples

    def watched(tuning, source, cut_out=False):
        asked.append(cut_out)
        return examples(tuning, source, cut_out)

    monkeypatch.setattr(FineTuning, "examples", watched)
    FineTuner(settings(system, tmp_path / "run"))
    assert asked == [cut_out]


def test_labels_that_are_too_short_are_refused(settings, collected, tmp_path):
    config = replace(settings("diffusion_vla", tmp_path / "run"), data=(collected[0],))
    with pytest.raises(ConfigurationError, match="make them again with --horizon 16"):
        FineTuner(config)


def test_another_systems_preset_is_refused(settings, tmp_path):
    with pytest.raises(ConfigurationError, match="The preset 'llada_vla' is of llada_vla"):
        FineTuner(settings("dd_vla", tmp_path / "run", preset="llada_vla"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": -1}, "steps must be 0 or more, got -1"),
        ({"save_every": 0}, "save_every must be more than 0, got 0"),
        ({"precision": "fp8"}, "precision must be one of fp32, bf16, got 'fp8'"),
        ({"preset": "rt_1"}, "There is no preset 'rt_1'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, tmp_path, change, words):
    with pytest.raises(ConfigurationError, match=words):
        FineTuner(settings("dd_vla", tmp_path / "run", **change))
