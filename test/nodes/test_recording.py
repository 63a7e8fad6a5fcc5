"""What `record:=` asks for."""

import re
from pathlib import Path

import pytest

from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.nodes.launch_arguments import parse_arguments
from dvla_ros.nodes.recording import NODE, RECORDINGS, ROSBAG2, recording_plan, rosbag2_command
from dvla_ros.recordings.recorder_topics import recorder_topics


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """A machine without rosbag2, and a working directory of its own."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rosbag2(monkeypatch, tmp_path):
    """A prefix in which rosbag2 seems to be installed."""
    for package in ("ros2bag", "rosbag2_storage_mcap"):
        (tmp_path / "ros" / "share" / package).mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path / 'ros'}")


def plan(*texts):
    return recording_plan(parse_arguments(texts))


@pytest.mark.parametrize("texts", [(), ("record:=",), ("record:=false",), ("record:=false", "record_keep_s:=9")])
def test_nothing_is_recorded_unless_asked_for(texts):
    assert plan(*texts) is None


def test_true_means_a_folder_with_robot_date_and_time():
    found = plan("record:=true", "robot_name:=left")
    assert found.folder.parent == RECORDINGS and re.fullmatch(r"left_\d{8}_\d{6}", found.folder.name)
    assert (found.keep_s, found.recorder) == (0.0, NODE)


def test_a_folder_is_taken_as_given_and_never_overwritten(tmp_path):
    assert plan("record:=some/where").folder == Path("some/where")
    assert plan("record:=~/bags/one").folder == Path.home() / "bags" / "one"
    with pytest.raises(ConfigurationError, match="exists already"):
        plan(f"record:={tmp_path}")


def test_the_last_seconds_need_no_folder_and_share_one(tmp_path):
    assert plan("record_keep_s:=30").folder == RECORDINGS
    assert plan("record:=true", "record_keep_s:=30").folder == RECORDINGS
    kept = plan(f"record:={tmp_path}", "record_keep_s:=30")
    assert (kept.folder, kept.keep_s, kept.recorder) == (tmp_path, 30.0, NODE)


def test_rosbag2_records_where_it_is_installed(rosbag2):
    assert plan("record:=true").recorder == ROSBAG2
    assert plan("record:=true", "recorder:=node").recorder == NODE
    assert plan("record_keep_s:=30").recorder == NODE


def test_what_does_not_fit_is_named(rosbag2, monkeypatch):
    with pytest.raises(ConfigurationError, match="record_keep_s needs recorder:=node"):
        plan("record_keep_s:=30", "recorder:=rosbag2")
    with pytest.raises(ConfigurationError, match=r"record_keep_s must be 0 or more, got -1\.0"):
        plan("record_keep_s:=-1")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/nowhere")
    with pytest.raises(DependencyError, match="ros2bag"):
        plan("record:=true", "recorder:=rosbag2")


def test_rosbag2_gives_way_and_records_topics_that_nobody_publishes_yet():
    command = rosbag2_command(Path("bag"), recorder_topics("left", ["top"], False))
    assert command[:6] == ["nice", "-n", "5", "ros2", "bag", "record"]
    assert re.search(command[command.index("--regex") + 1], "/left/joint_states")
    assert command[command.index("--output") + 1] == "bag"
