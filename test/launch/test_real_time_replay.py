"""A recording played to the real nodes as processes: what is measured, and what must be there."""

import pytest
from bags import TOPICS, image, joint_states, text, write_bag
from untrained import write_untrained

from dvla_ros.errors import RecordingError
from dvla_ros.nodes.real_time_replay import real_time_replay

SECONDS, CAMERA_HZ, JOINTS_HZ = 4.0, 15.0, 50.0


def recorded(tmp_path, cameras=("front", "wrist"), words="pick up the red cube"):
    messages = [("/instruction", 100.0, text(words))] if words else []
    for i in range(int(SECONDS * CAMERA_HZ)):
        stamp = 100.0 + i / CAMERA_HZ
        messages += [(f"/{camera}_camera/image_raw", stamp + 0.01, image(stamp, i)) for camera in cameras]
    for i in range(int(SECONDS * JOINTS_HZ)):
        stamp = 100.0 + i / JOINTS_HZ
        messages.append((TOPICS.joint_states, stamp, joint_states(stamp)))
    return write_bag(tmp_path / "bag", sorted(messages, key=lambda message: message[1]))


@pytest.mark.slow
def test_the_way_of_every_observation_is_measured(environment, tmp_path):
    checkpoint = write_untrained(tmp_path / "checkpoint", greatest=0.01)
    bag = recorded(tmp_path)
    figures = real_time_replay(bag, {"checkpoint": str(checkpoint)}, logs=tmp_path / "log")
    assert (figures.bag, figures.checkpoint, figures.instruction) == (str(bag), str(checkpoint), "pick up the red cube")
    assert figures.played_s == pytest.approx(SECONDS, abs=0.1)
    assert figures.chunks >= 1
    assert figures.accepted + sum(rejected.count for rejected in figures.rejected) <= figures.chunks
    assert 0.0 < figures.age.p50 < figures.latency.p50 < 1e3 * SECONDS
    assert figures.inference.p50 < figures.latency.p50
    played = {stream.name: stream.played for stream in figures.streams}
    assert played == {"front": 60, "wrist": 60, "joint_states": 200}
    assert all(0 < stream.received <= stream.played for stream in figures.streams)
    assert "dry run" in (tmp_path / "log" / "chunker_node.log").read_text()


@pytest.mark.parametrize(
    ("cameras", "words", "problem"),
    [
        (["front"], "go", "has no /front_camera/image_raw/compressed, /wrist_camera"),
        (["front", "wrist"], "", "does not say what the policy is to do; give an instruction"),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(tmp_path, cameras, words, problem):
    bag = recorded(tmp_path, cameras, words)
    with pytest.raises(RecordingError, match=problem):
        real_time_replay(bag, {}, logs=tmp_path / "log")
    assert not (tmp_path / "log").exists()
