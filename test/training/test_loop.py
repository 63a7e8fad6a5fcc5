"""A step is the same however it is divided; what goes wrong is said, and the last good checkpoint stays."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dvla_ros.errors import ConfigurationError, TrainingError
from dvla_ros.policies.load import load_policy
from dvla_ros.training.train import Trainer
from dvla_ros.training.validation import Validation

SEVERAL = Path(__file__).parent.parent / "support" / "train_in_processes.py"
SHIPPED = Path(__file__).parents[2] / "checkpoints" / "widowx_dd_vla_small"


def silent(progress):
    pass


def settings_of(tiny_run, out, **changes):
    objective = ('average="tokens"',)  # whose mean over parts would not be the mean over all
    defaults = {"steps": 3, "batch_size": 8, "report_every": 1, "layers": 2, "objective": objective}
    return tiny_run(out, **{**defaults, **changes})


def curve(folder):
    lines = [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]
    return [(line["step"], line["gradient"], line["step_losses"]) for line in lines]


@pytest.fixture(scope="module")
def whole(tiny_run, tmp_path_factory):
    """Three steps of eight examples at once, in one process."""
    out = tmp_path_factory.mktemp("whole") / "run"
    Trainer(settings_of(tiny_run, out)).run(silent)
    return out


def require_same(whole, other):
    for (step, gradient, losses), (_, other_gradient, other_losses) in zip(curve(whole), curve(other), strict=True):
        assert other_losses == pytest.approx(losses, rel=1e-5), step
        assert other_gradient == pytest.approx(gradient, rel=1e-5), step
    before, after = (load_file(folder / "model.safetensors") for folder in (whole, other))
    assert before.keys() == after.keys()
    for name in before:
        torch.testing.assert_close(after[name], before[name], rtol=1e-3, atol=1e-4)


def test_micro_batches_make_the_same_step(tiny_run, whole, tmp_path):
    Trainer(settings_of(tiny_run, tmp_path / "run", batch_size=2, accumulate=4)).run(silent)
    require_same(whole, tmp_path / "run")


def test_two_processes_with_all_or_half_of_the_weights_make_the_same_step(tiny_run, whole, tmp_path):
    """Two processes of gloo under torchrun: whole copies (DDP), then shards (FSDP2) with micro-batches."""
    config = settings_of(tiny_run, tmp_path)
    words = [str(config.data[0]), str(tmp_path / "copies"), str(tmp_path / "shards")]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SEVERAL)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, *words], capture_output=True, text=True, timeout=100, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    require_same(whole, tmp_path / "copies")
    require_same(whole, tmp_path / "shards")
    assert load_policy(tmp_path / "shards").spec.system == "dd_vla"


def test_shards_need_several_processes(tiny_run, tmp_path):
    with pytest.raises(ConfigurationError, match="shard=True needs several processes"):
        Trainer(settings_of(tiny_run, tmp_path / "run", shard=True))


def test_workers_make_the_same_examples(tiny_run, whole, tmp_path):
    Trainer(settings_of(tiny_run, tmp_path / "run", workers=1)).run(silent)
    assert curve(tmp_path / "run") == curve(whole)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_checkpoint(tiny_run, tmp_path):
    out = tmp_path / "run"
    trainer = Trainer(settings_of(tiny_run, out, steps=10, save_every=2))

    def spoil(progress):
        if progress.step == 5:
            with torch.no_grad():
                next(iter(trainer.loop.trained.values())).fill_(torch.nan)

    with pytest.raises(TrainingError, match=r"loss of step 6 is not finite .*nan.*last good checkpoint is .*000004"):
        trainer.run(spoil)
    weights = load_file(out / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert load_policy(out).spec.system == "dd_vla"


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(tiny_run, tmp_path):
    """A limit on the length of files stands for the disk: the operating system refuses to write more."""
    out, limits = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    trainer = Trainer(settings_of(tiny_run, out, steps=6, save_every=2))

    def fill(progress):
        if progress.step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))

    try:
        with pytest.raises(TrainingError, match=r"step 4 cannot be written .*last good checkpoint is .*000002"):
            trainer.run(fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert trainer.folder.steps() == [2] and load_policy(out).spec.system == "dd_vla"


def test_checkpoints_are_validated_on_frames_and_the_best_is_on_top(tiny_run, collected, tmp_path):
    out, seen = tmp_path / "run", {}
    config = settings_of(tiny_run, out, steps=4, save_every=2, validation=(collected[0],), validation_frames=3)
    trainer = Trainer(config)
    trainer.run(silent, lambda step, figures: seen.update({step: figures}))
    assert set(seen) == {2, 4} and set(seen[2]) == {"position_mm", "rotation_rad", "gripper", "unusable", "score"}
    assert all(np.isfinite(list(figures.values())).all() for figures in seen.values())
    best = max(seen, key=lambda step: (seen[step]["score"], step))
    assert trainer.folder.scores() == {step: figures["score"] for step, figures in seen.items()}
    on_top, chosen = (load_file(path / "model.safetensors") for path in (out, trainer.folder.step(best)))
    assert all(torch.equal(on_top[name], chosen[name]) for name in chosen)


def test_checkpoints_may_be_validated_by_success():
    figures = Validation(None, 1, tasks=("pick_red",), episodes=1).measure(SHIPPED)
    assert figures == {"success": 1.0, "score": 1.0}


def test_bfloat16_multiplies_in_16_bits_and_keeps_weights_in_32(tiny_run, whole, tmp_path):
    Trainer(settings_of(tiny_run, tmp_path / "run", precision="bf16")).run(silent)
    for (_, _, losses), (_, _, rough) in zip(curve(whole), curve(tmp_path / "run"), strict=True):
        assert rough["total"] == pytest.approx(losses["total"], rel=0.05) and rough["total"] != losses["total"]
    assert all(t.dtype == torch.float32 for t in load_file(tmp_path / "run" / "model.safetensors").values())


def test_figures_are_logged_for_tensorboard(whole):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(whole / "tensorboard")).Reload()
    losses = [(event.step, event.value) for event in events.Scalars("train/total")]
    assert [step for step, _ in losses] == [1, 2, 3] and np.isfinite([value for _, value in losses]).all()
