"""`servo.launch.py` under the real launch system."""

import re
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from launch.actions import DeclareLaunchArgument
from ros_messages import test_messages_environment
from untrained import write_untrained

from dvla_ros.nodes.servo_plan import SERVO_ARGUMENTS

ROOT = Path(__file__).parents[2]
FILE = ROOT / "launch" / "servo.launch.py"
SERVO = ROOT / "test" / "support" / "fake_servo.py"
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
TIMEOUT_S = 120.0


class Launched:
    """A program in a process of its own, whose output can be waited for."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [sys.executable, "-u", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=test_messages_environment(),
        )
        self.output = ""
        self._watchdog = threading.Timer(TIMEOUT_S, self.process.kill)
        self._watchdog.start()

    def wait_for(self, *texts):
        """Wait until all texts have been printed, in whatever order."""
        while missing := [text for text in texts if text not in self.output]:
            line = self.process.stdout.readline()
            assert line, f"ended without {missing}:\n{self.output}"
            self.output += line

    def end(self):
        self.output += self.process.stdout.read()
        self._watchdog.cancel()
        return self.process.wait(TIMEOUT_S)


def launched(*texts):
    return Launched("-c", LAUNCH, str(FILE), *texts)


def test_every_argument_of_the_table_is_declared_with_its_description():
    description = runpy.run_path(str(FILE))["generate_launch_description"]()
    declared = [entity for entity in description.entities if isinstance(entity, DeclareLaunchArgument)]
    assert [entity.name for entity in declared] == [argument.name for argument in SERVO_ARGUMENTS]
    for entity, argument in zip(declared, SERVO_ARGUMENTS, strict=True):
        assert entity.description.startswith(argument.description)


@pytest.mark.parametrize("backend", ["servo_pose", "servo_joint"])
def test_the_arm_is_held_until_servo_is_there_and_again_at_the_end(tmp_path, backend):
    checkpoint = write_untrained(tmp_path / "checkpoint", greatest=0.01)
    launch = launched("use_sim:=true", f"backend:={backend}", f"checkpoint:={checkpoint}")
    launch.wait_for(f"commanding at 100 Hz through {backend}", "holding (servo_silent)")
    servo = Launched(str(SERVO))
    launch.wait_for("following again")
    launch.process.send_signal(signal.SIGINT)
    assert launch.end() == 0
    servo.process.kill()
    servo.end()
    assert "Expecting a Servo node /servo_node" in launch.output
    assert "arm held" in launch.output
    assert re.search(r"chunker_node-\d\]: process has finished cleanly", launch.output)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["start_servo:=true"], "needs the ROS package 'moveit_servo'. Install the apt package"),
        (["start_sevro:=true"], "Unknown argument 'start_sevro'. Did you mean 'start_servo'"),
        (["backend:=jtc"], "jtc"),
    ],
)
def test_what_cannot_be_is_named_and_starts_nothing(texts, words):
    launch = launched(*texts)
    assert launch.end() == 1
    assert words in launch.output
    assert "process started" not in launch.output
