"""The `dvla` command: what each sub-command writes, and what it says about mistakes."""

import json

import pytest

from dvla_ros.cli import COMMANDS, main
from dvla_ros.training.demonstrations import read_demonstrations


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


def test_an_unknown_command_is_named(capsys):
    assert main(["simulat"]) == 2
    assert "simulat" in capsys.readouterr().err


def test_a_missing_checkpoint_is_one_clear_line(capsys):
    assert main(["simulate", "--checkpoint", "/nowhere"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "/nowhere" in error and error.count("\n") == 1


def test_an_unknown_decoder_setting_lists_the_known_ones(capsys):
    assert main(["simulate", "--decoding", "steps=3"]) == 2
    assert "num_steps" in capsys.readouterr().err


def test_simulate_writes_the_fixed_keys(tmp_path):
    path = tmp_path / "result.json"
    words = ["simulate", "--tasks", "push", "--episodes", "1", "--time-limit", "2", "--seed", "3", "--json", str(path)]
    assert main(words) == 0
    result = json.loads(path.read_text())
    assert {"success_rate", "episodes", "by_task", "nfe", "decode_ms_p50", "seed"} <= set(result)
    assert result["episodes"] == 1 and result["seed"] == 3


def test_collect_writes_demonstrations_that_can_be_read(tmp_path):
    path = tmp_path / "result.json"
    assert main(["collect", "--out", str(tmp_path / "data"), "--episodes", "2", "--json", str(path)]) == 0
    result = json.loads(path.read_text())
    assert result["episodes"] == 2
    assert len(read_demonstrations([tmp_path / "data"])) == result["frames"] > 0


@pytest.mark.parametrize("command", ["collect", "train"])
def test_a_wrong_number_is_refused(command, tmp_path, capsys):
    words = {"collect": ["--out", str(tmp_path), "--episodes", "0"], "train": ["--data", str(tmp_path), "--out", "x"]}
    assert main([command, *words[command]]) == 2
    assert capsys.readouterr().err.startswith("error: ")
