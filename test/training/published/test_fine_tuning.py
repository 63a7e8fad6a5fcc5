"""A few steps on a published checkpoint, saved both ways and loaded by whoever drives an arm with it."""

from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.published.recognise import read_setup
from dvla_ros.training.batch import example_noise, losses
from dvla_ros.training.published.families import learner_of
from dvla_ros.training.published.fine_tuning import FineTuning
from dvla_ros.training.published.preset import Preset
from dvla_ros.training.published.presets import PRESETS

CPU = torch.device("cpu")


@pytest.fixture
def tuned(checkpoint, deployment, recorded):
    """A function that opens a system's small checkpoint with a preset and takes some steps with it."""

    def trained(name, steps=2, **changes):
        preset = replace(PRESETS[name], **changes)
        if preset.low_rank is not None:
            preset = replace(preset, low_rank=replace(preset.low_rank, rank=4, alpha=8))
        system = preset.system
        run = FineTuning.open(checkpoint(system), deployment(system), preset, dtype=torch.float32)
        examples = run.examples(recorded(run.setup, 2))
        (batch,) = DataLoader(examples, batch_size=2, collate_fn=examples.collate)
        batch, noise = run.completed(batch), example_noise(0, range(2))
        optimiser = torch.optim.AdamW(run.parameter_groups(), lr=1.0)
        for group in optimiser.param_groups:
            group["lr"] = 3e-3
        values = []
        for _ in range(steps):
            found = losses(run.objective, run.learner, batch, noise)
            optimiser.zero_grad()
            found.total.backward()
            optimiser.step()
            values.append(float(found.total.detach()))
        run.module.eval()
        return run, batch, noise, values

    return trained


def beside(run, folder):
    """DexVLA's statistics lie beside the folder."""
    for path in run.setup.folder.parent.glob("*.pkl"):
        (folder.parent / path.name).write_bytes(path.read_bytes())


def loss_of(run, setup, batch, noise):
    """Of the checkpoint that was saved, in bfloat16, with the same batch and the same noise."""
    learner = learner_of(setup, setup.network(CPU, torch.float32))
    with torch.no_grad():
        return float(losses(run.objective, learner, batch, noise).total)


NAMES = ["dd_vla", "dd_vla_full", "llada_vla_lora", "dfm_vla_lora", "diffusion_vla"]


@pytest.mark.parametrize("name", NAMES)
def test_what_was_trained_is_what_is_loaded(name, tuned, tmp_path, deployment, checkpoint):
    run, batch, noise, values = tuned(name)
    assert values[-1] < values[0]
    system, folder = run.setup.system, tmp_path / "tuned" / "checkpoint"
    run.save(folder)
    beside(run, folder)
    with torch.no_grad():
        there = float(losses(run.objective, run.learner, batch, noise).total)
    assert loss_of(run, read_setup(folder, deployment(system)), batch, noise) == pytest.approx(there, rel=0.02)
    assert load_policy(folder, deployment=deployment(system)).spec == run.setup.spec
    if run.preset.low_rank is None:
        return
    run.save_adapter(tmp_path / "adapter")
    beside(run, tmp_path / "adapter")
    assert not list((tmp_path / "adapter").glob("model*.safetensors"))
    setup = read_setup(tmp_path / "adapter", deployment(system, files={"base": str(checkpoint(system))}))
    assert loss_of(run, setup, batch, noise) == pytest.approx(there, rel=0.02)


@pytest.mark.parametrize("name", ["dd_vla", "llada_vla", "ud_vla_lora", "diffusion_vla_full"])
def test_in_bfloat16_every_trained_parameter_gets_its_gradient(name, checkpoint, deployment, recorded):
    run = FineTuning.open(checkpoint(PRESETS[name].system), deployment(PRESETS[name].system), PRESETS[name])
    examples = run.examples(recorded(run.setup))
    batch = run.completed(examples.collate([examples[1]]))
    with torch.autocast("cpu", torch.bfloat16):
        found = losses(run.objective, run.learner, batch, example_noise(0, range(1)))
    found.total.backward()
    assert torch.isfinite(found.total)
    assert [name for name, parameter in run.trained.items() if parameter.grad is None] == []
    assert {parameter.dtype for parameter in run.trained.values()} == {torch.float32}


def test_other_values_are_written_instead_of_the_own(tuned, tmp_path, deployment):
    run, *_ = tuned("dd_vla", steps=1)
    averaged = {name: torch.zeros_like(value) for name, value in run.trained.items()}
    run.save(tmp_path / "averaged", averaged)
    setup = read_setup(tmp_path / "averaged", deployment("dd_vla"))
    name = "language_model.lm_head.weight"
    torch.testing.assert_close(setup.tensors().read(name), run.setup.tensors().read(name))  # the adapter is zero
    assert not setup.network(CPU, torch.float32).projector.fc1.weight.any()


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tuned, tmp_path, monkeypatch):
    run, *_ = tuned("dd_vla", steps=0)
    folder = tmp_path / "saved"
    run.save(folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("dvla_ros.training.published.fine_tuning.write_back", interrupted)
        run.save(folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    run.save(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_only_the_adapter_and_what_stands_beside_it_is_trained(tuned):
    run, *_ = tuned("dd_vla", steps=0)
    assert {name.split(".")[0] for name in run.trained} == {"model", "projector"}
    assert all(".lora_" in name for name in run.trained if name.startswith("model."))
    last = len(run.network.model.language_model.trunk.layers) - 1
    for part in (f"layers.{last}.mlp.down_proj", "lm_head", "patch_embed.proj", "projector.fc3"):
        assert any(part in name for name in run.trained), part


def test_a_preset_of_another_system_is_refused(checkpoint, deployment):
    with pytest.raises(ConfigurationError, match="llada_vla.*dd_vla"):
        FineTuning.open(checkpoint("dd_vla"), deployment("dd_vla"), PRESETS["llada_vla"])


def test_presets_say_what_is_not_published():
    for preset in PRESETS.values():
        assert isinstance(preset, Preset) and preset.source and preset.ours
        assert "learning_rate" not in preset.ours or "ours" in preset.source
