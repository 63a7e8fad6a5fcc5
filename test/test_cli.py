"""The `dvla` command: what each sub-command writes, which options it has, and what it says about mistakes."""

import json
import re

import pytest

from dvla_ros.cli import COMMANDS, main
from dvla_ros.policies.load import load_policy
from dvla_ros.training.demonstrations import read_demonstrations

TINY = ["--threads", "1", "--batch-size", "2", "--steps", "2"]
OPTIONS = {
    "collect": "out episodes seed policy moving noise-m kick-probability one-way horizon tasks json",
    "demonstrate": "out episodes tasks seed time-limit compressed",
    "train": "data out system init backbone freeze-perception vq steps batch-size accumulate learning-rate schedule "
    "warmup drop-after weight-decay betas max-norm ema drop-instruction seed device precision shard threads workers "
    "save-every keep report-every resume validation validation-frames validation-tasks validation-episodes "
    "horizon execute-steps heads layers coding objective decoding json "
    "cameras image-width image-height text-tokens state-dim width keypoints ways-after-frozen",
    "fine-tune": "checkpoint data out deployment preset steps batch-size accumulate learning-rate objective adapter "
    "instruction seed device precision shard threads workers save-every keep report-every peak-tflops resume "
    "validation validation-frames json",
    "train-vq": "data out steps batch-size learning-rate weight-decay commitment coloured changed codebook-decay "
    "dead-below hold-out-every bfloat16 seed threads save-every image-width image-height codebook-size code-dim widths "
    "json",
    "convert": "out to fps cameras image-size instruction robot-name actions stamp-source gap-s lag-s only-successes "
    "idle validation seed max-frames images horizon json",
    "stats": "out name fps cameras robot-name actions stamp-source gap-s idle json",
    "evaluate": "checkpoint system decoding deployment cache out json instruction robot-name actions every lag-s "
    "max-episodes gap-s camera-latency-s stamp-source camera-poses seed bootstrap replay real-time device threads",
    "benchmark": "systems size device dtype weights cache attention repeats threads chunks checks growth checkpoints "
    "folder json plot growth-plot write",
    "benchmark-sim": "sets only checkpoint tasks episodes seed conditions whole-chunks time-limit workers device run "
    "checkpoints record json plot fall-off-plot write part",
    "benchmark-libero": "deployment suite tasks episodes seed max-steps execute-steps whole-chunks camera-size rotate "
    "threads device cache decoding run environment record json write part",
    "model-card": "deployment results",
    "inspect-checkpoint": "deployment json",
    "golden": "deployment out instruction task seed device",
    "fresh-checkpoint": "system size seed",
    "simulate": "system checkpoint deployment tasks episodes seed execute-steps inference-s replanning time-limit "
    "threads device cache decoding json",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two collected episodes, and what the command wrote about them."""
    folder = tmp_path_factory.mktemp("collected")
    words = ["--out", str(folder / "data"), "--episodes", "2", "--json", str(folder / "result.json")]
    assert main(["collect", *words]) == 0
    return folder / "data", json.loads((folder / "result.json").read_text())


def error_of(words, capsys):
    """The one line that a refused command prints."""
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("command", OPTIONS)
def test_the_help_of_a_command_names_every_option(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    listed = set(re.findall(r"--[a-z][a-z0-9-]+", capsys.readouterr().out))
    switched_off = {word for word in listed if word.startswith("--no-")}
    assert stopped.value.code == 0
    assert listed - switched_off == {"--help", *(f"--{name}" for name in OPTIONS[command].split())}


def test_an_unknown_command_is_named(capsys):
    assert main(["simulat"]) == 2
    assert "simulat" in capsys.readouterr().err


def test_an_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", "--epsodes", "3"])
    assert stopped.value.code == 2 and "--episodes" in capsys.readouterr().err


def test_collect_writes_demonstrations_that_can_be_read(data):
    folder, result = data
    assert result["episodes"] == 2
    assert len(read_demonstrations([folder])) == result["frames"] > 0


def test_a_policy_is_trained_and_measured_by_commands_alone(data, tmp_path):
    """Tokenizer, policy, success: what the how-to does, in miniature."""
    vq, policy, result = tmp_path / "vq", tmp_path / "policy", tmp_path / "result.json"
    small = ["--image-width", "32", "--image-height", "24", "--codebook-size", "8", "--widths", "8", "8", "8"]
    assert main(["train-vq", "--data", str(data[0]), "--out", str(vq), "--hold-out-every", "2", *TINY, *small]) == 0
    words = ["--data", str(data[0]), "--out", str(policy), "--system", "ud_vla", "--vq", str(vq), *TINY]
    words += ["--width", "24", "--keypoints", "2", "--heads", "3", "--layers", "1", "--execute-steps", "4"]
    words += ["--objective", "vision_weight=0.2", "grounding=0", "--decoding", "num_steps=2", "--json", str(result)]
    assert main(["train", *words]) == 0
    trained = json.loads(result.read_text())
    assert trained["step"] == 2 and {"images", "tokens", "grounding"} <= set(trained["losses"])
    assert load_policy(policy).spec.execute_steps == 4
    words = ["--checkpoint", str(policy), "--tasks", "push", "--episodes", "1", "--time-limit", "1", "--seed", "3"]
    assert main(["simulate", *words, "--json", str(result)]) == 0
    measured = json.loads(result.read_text())
    assert {"success_rate", "episodes", "by_task", "nfe", "decode_ms_p50", "seed"} <= set(measured)
    assert (measured["episodes"], measured["seed"], measured["nfe"]) == (1, 3, 2)
    assert main(["model-card", str(policy), "--results", str(result)]) == 0
    card = (policy / "README.md").read_text()
    assert "| without ROS | success |" in card and "| push | 0 of 1 |" in card and "--episodes 1 --time-limit 1" in card


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["simulate", "--checkpoint", "/nowhere"], "/nowhere"),
        (["simulate", "--system", "rt_1"], "choose one of dd_vla"),
        (["simulate", "--decoding", "steps=3"], "num_steps"),
        (["simulate", "--decoding", "num_steps"], "name=value"),
        (["collect", "--out", "x", "--episodes", "0"], "episodes"),
        (["train", "--data", "/nowhere", "--out", "x"], "dvla collect"),
        (["train", "--data", "/nowhere", "--out", "x", "--system", "rt_1"], "choose one of dd_vla"),
        (["train-vq", "--data", "/nowhere", "--out", "x"], "dvla collect"),
    ],
)
def test_a_wrong_input_is_one_clear_line(words, message, capsys):
    assert message in error_of(words, capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--objective", "mask=3"], "'masks'"),
        (["--objective", "masks=many"], "masks must be a JSON int"),
        (["--system", "ud_vla"], "dvla train-vq"),
        (["--coding", "size=1"], "size of at least 2"),
        (["--decoding", "steps=3"], "num_steps"),
    ],
)
def test_a_setting_that_a_system_does_not_have_is_one_clear_line(data, words, message, tmp_path, capsys):
    assert message in error_of(["train", "--data", str(data[0]), "--out", str(tmp_path), *words], capsys)
