"""`widowx.launch.py` under the real launch system."""

import signal
from pathlib import Path

import pytest
from launched import declared_arguments, launched
from untrained import write_untrained

from dvla_ros.nodes.launch_arguments import WIDOWX_ARGUMENTS
from dvla_ros.recordings.bag import Bag

FILE = Path(__file__).parents[2] / "launch" / "widowx.launch.py"


@pytest.fixture
def untrained(tmp_path):
    return write_untrained(tmp_path / "checkpoint", greatest=0.01)


def test_every_argument_of_the_table_is_declared_with_its_description():
    declared = declared_arguments(FILE)
    assert [name for name, _ in declared] == [argument.name for argument in WIDOWX_ARGUMENTS]
    for (_, description), argument in zip(declared, WIDOWX_ARGUMENTS, strict=True):
        assert description.startswith(argument.description)


def test_the_simulated_robot_starts_and_stops_cleanly_and_is_recorded(untrained, tmp_path):
    words = ["use_sim:=true", f"checkpoint:={untrained}", "instruction:=pick up the red cube"]
    launch = launched(FILE, *words, f"record:={tmp_path / 'bag'}", "recorder:=node")
    launch.wait_for("following 'pick up the red cube'", "recording into")
    launch.process.send_signal(signal.SIGINT)
    assert launch.end() == 0
    assert launch.output.count("process has finished cleanly") == 4
    assert "arm held" in launch.output
    with Bag(tmp_path / "bag") as bag:
        assert "/wx250s/joint_states" in bag.topics and bag.warnings == []


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["use_smi:=true"], "Unknown argument 'use_smi'. Did you mean 'use_sim'"),
        (["use_sim:=perhaps"], "perhaps"),
        (["control_hz:=fast", "checkpoint:=x"], "control_hz must be a number, got 'fast'"),
    ],
)
def test_a_wrong_argument_is_named_and_starts_nothing(texts, words):
    launch = launched(FILE, *texts)
    assert launch.end() == 1
    assert words in launch.output
    assert "process started" not in launch.output


def test_a_missing_checkpoint_ends_the_launch():
    launch = launched(FILE, "use_sim:=true", "checkpoint:=/no/such/folder")
    launch.end()
    assert "'/no/such/folder' does not exist" in launch.output
    assert "was required: shutting down" in launch.output
