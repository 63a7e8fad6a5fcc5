"""`servo.launch.py` under the real launch system."""

import re
import signal
from pathlib import Path

import pytest
from launched import Launched, declared_arguments, launched
from ros_messages import test_messages_environment
from untrained import write_untrained

from dvla_ros.nodes.servo_plan import SERVO_ARGUMENTS

ROOT = Path(__file__).parents[2]
FILE = ROOT / "launch" / "servo.launch.py"
SERVO = ROOT / "test" / "support" / "fake_servo.py"


def test_every_argument_of_the_table_is_declared_with_its_description():
    declared = declared_arguments(FILE)
    assert [name for name, _ in declared] == [argument.name for argument in SERVO_ARGUMENTS]
    for (_, description), argument in zip(declared, SERVO_ARGUMENTS, strict=True):
        assert description.startswith(argument.description)


@pytest.mark.parametrize("backend", ["servo_pose", "servo_joint"])
def test_the_arm_is_held_until_servo_is_there_and_again_at_the_end(tmp_path, backend):
    checkpoint = write_untrained(tmp_path / "checkpoint", greatest=0.01)
    messages = test_messages_environment()
    launch = launched(FILE, "use_sim:=true", f"backend:={backend}", f"checkpoint:={checkpoint}", env=messages)
    launch.wait_for(f"commanding at 100 Hz through {backend}", "holding (servo_silent)")
    servo = Launched(str(SERVO), env=messages)
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
    launch = launched(FILE, *texts, env=test_messages_environment())
    assert launch.end() == 1
    assert words in launch.output
    assert "process started" not in launch.output
