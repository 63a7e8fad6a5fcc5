"""A run that is killed goes on bit for bit; what it cannot go on with is refused by name."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from dvla_ros.errors import CheckpointError, TrainingError
from dvla_ros.training.train import Trainer

STEPS = 30


def silent(progress):
    pass


def settings_of(tiny_run, out, **changes):
    return tiny_run(out, **{"steps": STEPS, "save_every": 4, "report_every": 1, "keep": 1, **changes})


def curve(folder):
    """Losses, running means and gradients of every step, as logged."""
    lines = [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]
    return [(line["step"], line["gradient"], line["step_losses"], line["losses"]) for line in lines]


@pytest.fixture(scope="module")
def whole(tiny_run, tmp_path_factory):
    """A run that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    Trainer(settings_of(tiny_run, out)).run(silent)
    return out


def command(config):
    sizes = config.perception
    words = ["train", "--data", str(config.data[0]), "--out", str(config.out), "--steps", str(config.steps)]
    words += ["--save-every", str(config.save_every), "--report-every", "1", "--keep", "1", "--threads", "1"]
    words += ["--batch-size", str(config.batch_size), "--heads", str(config.heads), "--layers", str(config.layers)]
    words += ["--width", str(sizes.width), "--keypoints", str(sizes.keypoints)]
    return [sys.executable, "-m", "dvla_ros.cli", *words]


def killed_at(config, step):
    """Start a run as a user does, and kill it when it reports this step; how many steps it reported."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    process = subprocess.Popen(command(config), stdout=subprocess.PIPE, text=True, env=environment)
    for line in process.stdout:
        if line.startswith(f"step {step}/"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return len(curve(config.out))


def test_a_killed_run_goes_on_bit_for_bit(tiny_run, whole, tmp_path):
    config = settings_of(tiny_run, tmp_path / "run")
    reported = killed_at(config, random.Random().randint(5, STEPS - 5))
    assert 5 <= reported < STEPS
    trainer = Trainer(replace(config, resume=True))
    assert 4 <= trainer.done <= reported and trainer.done % 4 == 0
    trainer.run(silent)
    assert curve(config.out) == curve(whole)
    for name in ("model.safetensors", f"steps/{STEPS:06d}/resume/state.safetensors"):
        before, after = load_file(whole / name), load_file(config.out / name)
        assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


def test_a_step_may_be_divided_otherwise_after_a_kill(tiny_run, whole, tmp_path):
    """Two micro-batches of one instead of one of two: the same global batch, so the same losses but for rounding."""
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    shutil.rmtree(out / "steps" / f"{STEPS:06d}")
    Trainer(settings_of(tiny_run, out, batch_size=1, accumulate=2, resume=True)).run(silent)
    for (*_, expected), (*_, found) in zip(curve(whole), curve(out), strict=True):
        assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("changes", [{"learning_rate": 2e-3}, {"seed": 5}, {"batch_size": 3}, {"steps": STEPS + 10}])
def test_other_settings_are_refused(tiny_run, whole, changes):
    name = {"batch_size": "examples"}.get(next(iter(changes)), next(iter(changes)))
    with pytest.raises(TrainingError, match=f"{name}=.*resume with the same settings"):
        Trainer(settings_of(tiny_run, whole, resume=True, **changes))


def test_a_finished_run_has_nothing_left_to_do(tiny_run, whole):
    before = curve(whole)
    trainer = Trainer(settings_of(tiny_run, whole, resume=True))
    trainer.run(silent)
    assert trainer.done == STEPS and curve(whole) == before


def test_without_a_checkpoint_a_run_begins(tiny_run, tmp_path):
    assert Trainer(settings_of(tiny_run, tmp_path / "new", resume=True)).done == 0


def test_a_run_does_not_overwrite_another(tiny_run, whole):
    with pytest.raises(CheckpointError, match="go on with it"):
        Trainer(settings_of(tiny_run, whole))


@pytest.mark.parametrize(("name", "content"), [("state.safetensors", b"\x08\0\0\0\0\0\0\0{"), ("state.json", b"{}")])
def test_a_broken_state_is_named(tiny_run, whole, tmp_path, name, content):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    (out / "steps" / f"{STEPS:06d}" / "resume" / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name}.*resume from another step"):
        Trainer(settings_of(tiny_run, out, resume=True))


def test_the_state_of_another_network_is_refused(tiny_run, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    path = out / "steps" / f"{STEPS:06d}" / "resume" / "state.safetensors"
    tensors = load_file(path)
    name = next(key for key in tensors if key.startswith("weights."))
    save_file({**tensors, name: torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"has the shape \[3\]"):
        Trainer(settings_of(tiny_run, out, resume=True))
