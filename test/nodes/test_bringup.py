"""`dvla bringup`: real processes, one stop for all."""

import queue
import signal
import subprocess
import sys
import threading

import pytest

from dvla_ros.nodes import bringup
from dvla_ros.nodes.bringup import Bringup

TIMEOUT_S = 60.0


class Running:
    """A bringup in a process of its own, whose lines can be waited for."""

    def __init__(self, *arguments):
        command = [sys.executable, "-u", "-m", "dvla_ros.nodes.bringup", "widowx", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self.lines, self._queue = [], queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._queue.put(line)
        self._queue.put("")

    def wait_for(self, words):
        while True:
            line = self._queue.get(timeout=TIMEOUT_S)
            self.lines.append(line)
            if words in line:
                return line
            assert line, f"ended without '{words}':\n{''.join(self.lines)}"

    def end(self):
        code = self.process.wait(TIMEOUT_S)
        while line := self._queue.get(timeout=TIMEOUT_S):
            self.lines.append(line)
        return code


@pytest.fixture
def run():
    running = []

    def start(*arguments):
        running.append(Running(*arguments))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGINT)
            one.process.wait(TIMEOUT_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_everything_starts_moves_and_stops_cleanly(run, checkpoint, number):
    one = run("use_sim:=true", f"checkpoint:={checkpoint}", "instruction:=pick up the red cube")
    one.wait_for("[policy_node]")
    one.wait_for("following 'pick up the red cube'")
    one.process.send_signal(number)
    assert one.end() == 0, "".join(one.lines)
    output = "".join(one.lines)
    assert "[chunker_node]" in output
    assert "arm held" in output
    assert "[sim_node]" in output
    assert "Traceback" not in output


def test_a_missing_checkpoint_stops_everything_with_one_clear_error(run):
    one = run("use_sim:=true", "checkpoint:=/no/such/folder")
    assert one.end() == 1
    errors = [line for line in one.lines if "does not exist" in line]
    assert len(errors) == 1
    assert "dvla train" in errors[0]
    assert "policy_node ended with exit code 1; everything was stopped" in "".join(one.lines)
    assert "Traceback" not in "".join(one.lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["widowx", "use_smi:=true"], "Did you mean 'use_sim'"),
        (["widowx", "control_hz:=fast", "checkpoint:=x"], "control_hz must be a number"),
        (["franka"], "usage: dvla bringup widowx"),
        ([], "usage: dvla bringup widowx"),
    ],
)
def test_wrong_arguments_start_nothing(capsys, arguments, words):
    assert bringup.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_help_lists_the_arguments(capsys):
    assert bringup.main(["--help"]) == 0
    assert "instruction" in capsys.readouterr().out


def test_rosbag2_that_is_asked_for_and_missing_names_the_packages(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    words = ["widowx", "checkpoint:=x", f"record:={tmp_path / 'bag'}", "recorder:=rosbag2"]
    assert bringup.main(words) == 2
    assert "ros2bag" in capsys.readouterr().err


def test_the_others_go_on_without_an_optional_process(capfd):
    brief = [sys.executable, "-c", "raise SystemExit(4)"]
    longer = [sys.executable, "-c", "import time; time.sleep(0.5)"]
    assert Bringup({"recorder": brief, "robot": longer}, ["recorder"]).run() == 1
    errors = capfd.readouterr().err
    assert "recorder ended with exit code 4; the others go on without it." in errors
    assert errors.index("recorder ended") < errors.index("robot ended with exit code 0; everything was stopped")


def test_a_process_that_ignores_the_polite_signals_is_killed(monkeypatch):
    monkeypatch.setattr(bringup, "_GRACE", ((signal.SIGINT, 0.2), (signal.SIGTERM, 0.2), (signal.SIGKILL, 2.0)))
    stubborn = "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(60)"
    commands = {"stubborn": [sys.executable, "-c", stubborn], "brief": [sys.executable, "-c", "raise SystemExit(3)"]}
    group = Bringup(commands)
    assert group.run() == 3
    assert group.codes["stubborn"] == -signal.SIGKILL


def test_nodes_get_their_values_as_typed_yaml(checkpoint):
    plan = bringup.widowx_plan(
        bringup.parse_arguments([f"checkpoint:={checkpoint}", "robot_name:=007", "use_sim:=true"])
    )
    policy = bringup.process_commands(plan)["policy_node"]
    assert 'robot_name:="007"' in policy
    assert "compressed:=false" in policy
    assert 'cameras:=["front", "wrist"]' in policy
