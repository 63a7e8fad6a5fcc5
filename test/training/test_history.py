"""A checkpoint tells which runs led to it, and by which commands."""

import shlex
from dataclasses import replace

import pytest
import tyro

from dvla_ros.errors import CheckpointError
from dvla_ros.training.config import TrainConfig
from dvla_ros.training.fine_tune_config import FineTuneConfig
from dvla_ros.training.history import HISTORY, Stage, read_history, write_history
from dvla_ros.training.run_settings import identity
from dvla_ros.training.train import Trainer

STAGE = Stage({"examples": 32, "frames": 900}, 1200, 1, 60.0, {"total": 2.5}, "a machine", "0.1.0")


def silent(progress):
    pass


def parsed(words, config):
    return tyro.cli(tyro.conf.OmitArgPrefixes[config], args=words)


@pytest.fixture(scope="module")
def first(tiny_run, tmp_path_factory):
    config = tiny_run(tmp_path_factory.mktemp("history") / "first", steps=2, decoding=("order=random", "num_steps=3"))
    Trainer(config).run(silent)
    return config


def test_a_checkpoint_carries_its_run_and_the_runs_before(first, tiny_run, tmp_path):
    changes = {"init": first.out, "freeze_perception": True, "steps": 3}
    second = replace(first, out=tmp_path / "second", **changes)
    Trainer(second).run(silent)
    stages = read_history(second.out)
    assert [stage.steps for stage in stages] == [2, 3]
    assert stages[0] == read_history(first.out)[0]
    assert stages[1].settings["init"] == str(first.out)
    assert stages[1].examples == 2 and stages[1].settings["frames"] > 0
    assert stages[1].losses["total"] > 0.0 and stages[1].seconds > 0.0


def test_the_command_has_the_settings_of_the_run(first):
    (stage,) = read_history(first.out)
    words = shlex.split(stage.command)
    assert words[:2] == ["dvla", "train"]
    again = parsed([*words[2:], "--out", str(first.out)], TrainConfig)
    assert identity(again) == identity(first) and again.batch_size == first.batch_size


def test_several_processes_are_started_by_torchrun(first):
    (stage,) = read_history(first.out)
    words = shlex.split(replace(stage, processes=2).command)
    assert words[:6] == ["torchrun", "--nproc-per-node", "2", "-m", "dvla_ros.cli", "train"]
    assert words[-2:] == ["--batch-size", "1"]


def test_fine_tuning_has_its_own_command(tmp_path):
    config = FineTuneConfig(tmp_path / "base", (tmp_path / "data",), tmp_path / "out", preset="ud_vla", steps=7)
    stage = replace(STAGE, settings={**identity(config), "examples": 4, "frames": 90})
    words = shlex.split(stage.command)
    assert words[:2] == ["dvla", "fine-tune"]
    assert identity(parsed([*words[2:], "--out", str(config.out)], FineTuneConfig)) == identity(config)


def test_a_folder_that_tells_nothing_has_no_history(tmp_path):
    assert read_history(tmp_path) == () and read_history(None) == ()


def test_history_is_read_as_it_was_written(tmp_path):
    write_history(tmp_path, [STAGE, STAGE])
    assert read_history(tmp_path) == (STAGE, STAGE)


@pytest.mark.parametrize("text", ["", "{", "3", '[{"steps": 1}]'])
def test_a_broken_file_is_named(tmp_path, text):
    (tmp_path / HISTORY).write_text(text)
    with pytest.raises(CheckpointError, match=r"training\.json does not tell"):
        read_history(tmp_path)
