"""Recordings become training frames: chunks, futures, and NaN for what nobody knows."""

from dataclasses import replace

import numpy as np
import pytest
from demonstrated import CAMERAS, FPS, good, trajectory

from dvla_ros.datasets.training_set import TrainingSetSource, TrainingSetWriter, task_name
from dvla_ros.errors import RecordingError
from dvla_ros.training.demonstrations import read_demonstrations
from dvla_ros.training.shard import HORIZON, read_manifest


def written(folder, trajectories, **settings):
    writer = TrainingSetWriter(folder, CAMERAS, FPS, **settings)
    for one in trajectories:
        writer.add(one)
    writer.close()
    return folder


def test_frames_hold_chunks_pictures_and_futures_and_nothing_that_is_not_known(tmp_path):
    one = trajectory()
    data = read_demonstrations([written(tmp_path, [one])])
    assert len(data) == 40 and np.array_equal(data.states, one.states)
    assert np.array_equal(data.actions[5], one.actions[5 : 5 + HORIZON])
    assert np.array_equal(data.images[7], one.pictures[7])
    assert data.futures.shape == (40, 2, 48, 64, 3)
    assert np.array_equal(data.futures[7], one.pictures[7 + HORIZON])
    assert np.array_equal(data.futures[39], one.pictures[39])
    assert np.isnan(data.pixels).all() and np.isnan(data.points).all()
    assert (data.frozen == 0).all()


def test_labels_are_as_long_as_asked_for(tmp_path):
    one = trajectory()
    data = read_demonstrations([written(tmp_path, [one], horizon=12)])
    assert data.manifest.horizon == 12 and data.actions.shape == (40, 12, 7)
    assert np.array_equal(data.actions[5], one.actions[5:17])
    assert np.array_equal(data.futures[7], one.pictures[19])


def test_after_the_last_action_the_arm_rests_and_the_gripper_stays(tmp_path):
    one = trajectory()
    data = read_demonstrations([written(tmp_path, [one])])
    assert np.array_equal(data.actions[38, :2], one.actions[38:])
    assert (data.actions[38, 2:, :6] == 0.0).all()
    assert (data.actions[38, 2:, 6] == one.actions[-1, 6]).all()


def test_the_manifest_knows_the_sentences_and_which_are_simulated_tasks(tmp_path):
    written(tmp_path, good(3))
    manifest = read_manifest(tmp_path / "shard-00000")
    assert manifest.instructions == ("pick up the red cube", "wipe the table")
    assert manifest.task_names == ("pick_red", "")
    assert (manifest.cameras, manifest.dt, manifest.source) == (CAMERAS, 0.2, "recording")


def test_shards_are_of_a_bearable_size_and_count_only_when_all_are_finished(tmp_path, monkeypatch):
    monkeypatch.setattr("dvla_ros.datasets.training_set.FRAMES_PER_SHARD", 50)
    writer = TrainingSetWriter(tmp_path, CAMERAS, FPS)
    for one in good(5):
        writer.add(one)
    assert not list(tmp_path.rglob("manifest.json"))
    writer.close()
    assert len(list(tmp_path.rglob("manifest.json"))) == 3
    assert len(read_demonstrations([tmp_path])) == 200


def test_what_is_written_is_read_back(tmp_path):
    source = TrainingSetSource([written(tmp_path, good(3))])
    read = list(source.trajectories())
    assert (source.fps, source.cameras, source.episodes, source.warnings) == (FPS, CAMERAS, 3, [])
    for one, expected in zip(read, good(3), strict=True):
        assert one.instruction == expected.instruction
        assert np.array_equal(one.states, expected.states) and np.array_equal(one.actions, expected.actions)
        assert all(np.array_equal(one.pictures[i], expected.pictures[i]) for i in range(len(one)))


def test_parts_of_an_episode_with_a_hole_stay_apart(tmp_path):
    whole = trajectory()
    parts = [whole.select(np.arange(0, 15)), whole.select(np.arange(20, 40))]
    read = list(TrainingSetSource([written(tmp_path, parts)]).trajectories())
    assert [len(one) for one in read] == [15, 20]


def test_chunks_that_are_labels_of_each_frame_are_told(tmp_path):
    written(tmp_path, good(2))
    chunks = np.load(tmp_path / "shard-00000" / "actions.npy")
    chunks[3, 1:] += 0.01
    np.save(tmp_path / "shard-00000" / "actions.npy", chunks)
    source = TrainingSetSource([tmp_path])
    read = list(source.trajectories())
    assert np.array_equal(read[0].actions, trajectory(0).actions)
    (warning,) = source.warnings
    assert "1 of 2 episodes" in warning and "first action" in warning


def test_some_cameras_at_another_size(tmp_path):
    written(tmp_path, good(1))
    source = TrainingSetSource([tmp_path], cameras=("wrist",), size=(32, 24))
    (one,) = source.trajectories()
    assert (one.pictures.cameras, one.pictures.size) == (1, (32, 24))


def test_broken_sets_are_refused(tmp_path):
    with pytest.raises(RecordingError, match="no training set"):
        TrainingSetSource([tmp_path])
    written(tmp_path, good(1))
    with pytest.raises(RecordingError, match="not side"):
        TrainingSetSource([tmp_path], cameras=("side",))
    with pytest.raises(RecordingError, match="already"):
        TrainingSetWriter(tmp_path, CAMERAS, FPS)


def test_columns_that_are_not_bridge_s_are_refused(tmp_path):
    one = trajectory()
    with pytest.raises(RecordingError, match="8 columns"):
        written(tmp_path, [replace(one, actions=np.zeros((40, 8), np.float32))])


def test_task_names_are_those_of_the_simulation():
    assert task_name("Pick up the red cube.") == "pick_red"
    assert task_name("make coffee") == ""


def test_a_damaged_set_is_refused_by_name(tmp_path):
    written(tmp_path, good(1))
    np.save(tmp_path / "shard-00000" / "futures.npy", np.zeros((3, 2, 48, 64, 3), np.uint8))
    with pytest.raises(RecordingError, match="shard-00000 is damaged: it has 40 states but 3 futures"):
        TrainingSetSource([tmp_path])
