"""`dvla demo` from the command line, with a policy that has learned nothing."""

import json
import signal
import subprocess
import sys

import cv2
import imageio_ffmpeg
import pytest
from untrained import write_untrained

from dvla_ros.nodes import demo
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.topics import RecordedTopics

TOPICS = RecordedTopics()
COMMAND = [sys.executable, "-m", "dvla_ros.nodes.demo"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_untrained(tmp_path_factory.mktemp("checkpoint"), greatest=0.01)


def test_a_failed_demo_says_so_and_shows_what_happened(checkpoint, tmp_path):
    words = ["--checkpoint", str(checkpoint), "--out", "demo", "--time-limit", "3", "--json", "copy.json"]
    words += ["--instruction", "pick up the blue cube"]
    ended = subprocess.run([*COMMAND, *words], check=False, cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "FAILED (timeout)" in ended.stdout and "0 of 1 episodes succeeded" in ended.stdout
    facts = json.loads((tmp_path / "demo" / "result.json").read_text())
    assert facts == json.loads((tmp_path / "copy.json").read_text())
    assert (facts["success"], facts["episodes"], facts["instruction"]) == (False, 1, "pick up the blue cube")
    assert 0.0 < facts["camera_frames_received"] <= 1.1 and facts["observation_to_command_ms_p95"] > 20.0
    film = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / facts["film"]))
    assert film[0] == pytest.approx(15 * (3.0 + 1.5), abs=8)
    assert cv2.imread(str(tmp_path / facts["contact_sheet"])).shape[1] == 1920
    assert "arm held" in (tmp_path / "demo" / "log" / "chunker_node.log").read_text()
    assert f"Recording: {facts['bag']}" in ended.stdout
    with Bag(tmp_path / facts["bag"]) as bag:
        assert bag.warnings == []
        requests = [m.message for m in bag.messages([TOPICS.inference_request])]
        (info,) = (m.message for m in bag.messages([TOPICS.policy_info]))
        assert requests and {request.instruction for request in requests} == {"pick up the blue cube"}
        assert info.checkpoint == str(checkpoint)
        needed = {TOPICS.action_chunk, TOPICS.denoising_trace, TOPICS.execution_status, TOPICS.arm_trajectory}
        needed |= {TOPICS.joint_states, TOPICS.task_status, *(TOPICS.image_topic(bag, name) for name in TOPICS.cameras)}
        assert needed <= set(bag.topics)


def test_ctrl_c_stops_every_node(checkpoint, tmp_path):
    running = subprocess.Popen(
        [*COMMAND, "--checkpoint", str(checkpoint)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "Ready" not in running.stdout.readline():
        assert running.poll() is None, running.stderr.read()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=40)
    assert running.returncode == 130 and "interrupted" in errors, errors
    assert "arm held" in (tmp_path / "demo" / "log" / "chunker_node.log").read_text()
    assert "stopped after" in (tmp_path / "demo" / "log" / "sim_node.log").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--instruction", "make coffee"], "cannot judge 'make coffee'; it knows: pick up the red cube"),
        (["--checkpoint", "/nowhere"], "no checkpoint in /nowhere"),
        (["--episodes", "0"], "episodes must be 1 or more"),
        (["--time-limit", "0"], "time_limit must be positive"),
    ],
)
def test_a_wrong_word_is_named_before_anything_starts(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert demo.main(words) == 2 and message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
