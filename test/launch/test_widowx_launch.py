"""`widowx.launch.py` under the real launch system."""

import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from launch.actions import DeclareLaunchArgument
from untrained import write_untrained

from dvla_ros.nodes.launch_arguments import WIDOWX_ARGUMENTS

FILE = Path(__file__).parents[2] / "launch" / "widowx.launch.py"
LAUNCH = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
texts = sys.argv[2:]
service = LaunchService(argv=texts)
pairs = [tuple(text.split(":=", 1)) for text in texts]
service.include_launch_description(
    IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=pairs)
)
sys.exit(service.run())
"""
TIMEOUT_S = 60.0


class Launched:
    """A launch in a process of its own, whose output can be waited for."""

    def __init__(self, *texts):
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", LAUNCH, str(FILE), *texts],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        self._watchdog = threading.Timer(TIMEOUT_S, self.process.kill)
        self._watchdog.start()

    def wait_for(self, words):
        for line in self.process.stdout:
            self.output += line
            if words in line:
                return
        raise AssertionError(f"ended without '{words}':\n{self.output}")

    def end(self):
        self.output += self.process.stdout.read()
        self._watchdog.cancel()
        return self.process.wait(TIMEOUT_S)


@pytest.fixture
def untrained(tmp_path):
    return write_untrained(tmp_path / "checkpoint", greatest=0.01)


def test_every_argument_of_the_table_is_declared_with_its_description():
    description = runpy.run_path(str(FILE))["generate_launch_description"]()
    declared = [entity for entity in description.entities if isinstance(entity, DeclareLaunchArgument)]
    assert [entity.name for entity in declared] == [argument.name for argument in WIDOWX_ARGUMENTS]
    for entity, argument in zip(declared, WIDOWX_ARGUMENTS, strict=True):
        assert entity.description.startswith(argument.description)


def test_the_simulated_robot_starts_and_stops_cleanly(untrained):
    launched = Launched("use_sim:=true", f"checkpoint:={untrained}", "instruction:=pick up the red cube")
    launched.wait_for("following 'pick up the red cube'")
    launched.process.send_signal(signal.SIGINT)
    assert launched.end() == 0
    assert launched.output.count("process has finished cleanly") == 3
    assert "arm held" in launched.output


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["use_smi:=true"], "Unknown argument 'use_smi'. Did you mean 'use_sim'"),
        (["use_sim:=perhaps"], "perhaps"),
        (["control_hz:=fast", "checkpoint:=x"], "control_hz must be a number, got 'fast'"),
    ],
)
def test_a_wrong_argument_is_named_and_starts_nothing(texts, words):
    launched = Launched(*texts)
    assert launched.end() == 1
    assert words in launched.output
    assert "process started" not in launched.output


def test_a_missing_checkpoint_ends_the_launch():
    launched = Launched("use_sim:=true", "checkpoint:=/no/such/folder")
    launched.end()
    assert "'/no/such/folder' does not exist" in launched.output
    assert "was required: shutting down" in launched.output
