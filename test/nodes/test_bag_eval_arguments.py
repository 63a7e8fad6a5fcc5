"""What `bag_eval.launch.py` makes of its arguments."""

import sys
from dataclasses import fields

import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluate_command import Evaluate
from dvla_ros.nodes.bag_eval_arguments import BAG_EVAL_ARGUMENTS, evaluate_command
from dvla_ros.nodes.launch_arguments import parse_arguments


@pytest.fixture(autouse=True)
def no_workspace(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def command(*texts):
    return evaluate_command(parse_arguments(texts, BAG_EVAL_ARGUMENTS))


def test_only_what_is_given_reaches_the_command():
    python = [sys.executable, "-m", "dvla_ros.cli", "evaluate"]
    rest = ["--robot-name", "wx250s", "--device", "cpu", "--out", "evaluation"]
    assert command("bag:=one") == [*python, "one", *rest]
    assert command("bag:=one", "real_time:=true") == [*python, "one", *rest, "--real-time"]


def test_lists_become_words_and_sentences_stay_whole():
    words = command("bag:=one, two", "system:=dd_vla,ud_vla", "instruction:=lift it, now", "decoding:=a=1,b=2;own")
    assert words[4:6] == ["one", "two"]
    for option, values in {
        "--system": ["dd_vla", "ud_vla"],
        "--instruction": ["lift it, now"],
        "--decoding": ["a=1,b=2", "own"],
    }.items():
        start = words.index(option) + 1
        assert words[start : start + len(values)] == values


def test_every_argument_is_an_option_of_the_command():
    options = {field.name for field in fields(Evaluate)}
    assert {argument.name for argument in BAG_EVAL_ARGUMENTS} - {"bag"} <= options


def test_a_bag_is_needed():
    with pytest.raises(ConfigurationError, match="bag is empty"):
        command("checkpoint:=x")


def test_the_program_of_the_workspace_is_preferred(tmp_path):
    (tmp_path / "dvla").touch(mode=0o755)
    assert command("bag:=one")[:2] == [str(tmp_path / "dvla"), "evaluate"]
