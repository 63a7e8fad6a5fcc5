"""Bags and LeRobot sets are converted once, when something changed again, and never by halves."""

import multiprocessing
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from demonstrated import CAMERAS, FPS, good
from teleoperated import teleoperated_bag

from dvla_ros.datasets.lerobot_writer import LerobotWriter
from dvla_ros.datasets.read_options import ReadOptions
from dvla_ros.errors import ConfigurationError, RecordingError
from dvla_ros.training.data_sources import prepared_sources, source_digest
from dvla_ros.training.demonstrations import read_demonstrations

SIZE = ReadOptions(size=(64, 48))


@pytest.fixture(scope="module")
def lerobot(tmp_path_factory):
    """A LeRobot set of two episodes, pictures as they were."""
    folder = tmp_path_factory.mktemp("sets") / "table"
    writer = LerobotWriter(folder, CAMERAS, FPS, storage="parquet")
    for one in good(2, frames=12):
        writer.add(one)
    writer.close()
    return folder


@pytest.fixture(scope="module")
def bags(tmp_path_factory):
    """A folder of two bags of one episode each."""
    folder = tmp_path_factory.mktemp("bags")
    for name in ("monday", "tuesday"):
        teleoperated_bag(folder / name, 1)
    return folder


def converted(cache):
    return sorted(path.name for path in cache.iterdir() if not path.name.startswith("."))


def test_a_lerobot_set_is_converted_once_and_then_read_from_the_cache(lerobot, tmp_path):
    told = []
    first, second = (
        prepared_sources([lerobot], tmp_path, SIZE, report=lambda *line: told.append(line)) for _ in range(2)
    )
    assert told == [(lerobot, 0, 2, 12), (lerobot, 1, 2, 24)]
    assert first == second and first[0].kind == "lerobot"
    data = read_demonstrations([first[0].folder])
    assert np.array_equal(data.states, np.concatenate([one.states for one in good(2, frames=12)]))
    assert np.array_equal(data.images[3], good(1)[0].pictures[3])


def test_a_folder_of_bags_is_one_set_and_a_training_set_stays_as_it_is(bags, tmp_path):
    (from_bags,) = prepared_sources([bags], tmp_path / "cache", SIZE, horizon=5)
    data = read_demonstrations([from_bags.folder])
    assert (from_bags.kind, data.manifest.horizon) == ("bag", 5) and np.unique(data.episodes).tolist() == [0, 1]
    (again,) = prepared_sources([from_bags.folder], tmp_path / "other", ReadOptions())
    assert (again.kind, again.folder) == ("training", from_bags.folder) and not (tmp_path / "other").exists()


def test_warnings_are_told_whenever_the_set_is_used(tmp_path):
    teleoperated_bag(tmp_path / "bag" / "said", 1)
    teleoperated_bag(tmp_path / "bag" / "unsaid", 1, ("",))
    told = [prepared_sources([tmp_path / "bag"], tmp_path / "cache", SIZE)[0].warnings for _ in range(2)]
    assert told[0] == told[1] and any("nobody said what was to be done" in warning for warning in told[0])


@pytest.mark.parametrize("change", [{"size": (32, 24)}, {"cameras": ("wrist",)}, {"idle": "trim"}])
def test_another_reading_is_another_set(lerobot, change):
    assert source_digest(lerobot, replace(SIZE, **change), 8) != source_digest(lerobot, SIZE, 8)
    assert source_digest(lerobot, SIZE, 9) != source_digest(lerobot, SIZE, 8) == source_digest(lerobot, SIZE, 8)


def test_a_file_that_changes_makes_another_set_and_a_place_that_changes_does_not(tmp_path):
    (tmp_path / "bag").mkdir()
    file = tmp_path / "bag" / "bag.mcap"
    file.write_bytes(b"one")
    digests = [source_digest(tmp_path / "bag", SIZE, 8)]
    file.write_bytes(b"three")
    digests.append(source_digest(tmp_path / "bag", SIZE, 8))
    os.utime(file, ns=(0, 0))
    digests.append(source_digest(tmp_path / "bag", SIZE, 8))
    (tmp_path / "bag" / "more.mcap").touch()
    digests.append(source_digest(tmp_path / "bag", SIZE, 8))
    assert len(set(digests)) == 4
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "bag").rename(tmp_path / "elsewhere" / "bag")
    assert source_digest(moved, SIZE, 8) == digests[-1]


def convert_and_die(lerobot, cache):
    def die(*line):
        os.kill(os.getpid(), signal.SIGKILL)

    prepared_sources([lerobot], cache, SIZE, report=die)


def test_a_killed_conversion_is_done_again(lerobot, tmp_path, monkeypatch):
    monkeypatch.setattr("dvla_ros.datasets.training_set.FRAMES_PER_SHARD", 5)
    process = multiprocessing.get_context("fork").Process(target=convert_and_die, args=(lerobot, tmp_path))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and converted(tmp_path) == []
    assert [path.name for part in tmp_path.glob(".*.part") for path in part.iterdir()] == ["shard-00000"]
    (source,) = prepared_sources([lerobot], tmp_path, SIZE)
    assert len(read_demonstrations([source.folder])) == 24 and not list(tmp_path.glob(".*.part"))


def test_a_conversion_that_fails_leaves_nothing(tmp_path):
    unsaid = teleoperated_bag(tmp_path / "bag", 1, ("",))
    with pytest.raises(RecordingError, match="--instruction"):
        prepared_sources([unsaid], tmp_path / "cache", SIZE)
    assert converted(tmp_path / "cache") == [] and not list((tmp_path / "cache").glob(".*.part"))


def test_two_processes_convert_once(lerobot, tmp_path):
    context = multiprocessing.get_context("fork")
    lines = context.Queue()

    def convert():
        prepared_sources([lerobot], tmp_path, SIZE, report=lambda *line: lines.put(line[1]))

    processes = [context.Process(target=convert) for _ in range(2)]
    for process in processes:
        process.start()
    told = [lines.get(timeout=60) for _ in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert told == [0, 1] and lines.empty() and len(converted(tmp_path)) == 1


def test_what_is_not_there_or_not_known_says_how_to_make_some(tmp_path):
    with pytest.raises(ConfigurationError, match="nowhere does not exist; make demonstrations with `dvla collect`"):
        prepared_sources([tmp_path / "nowhere"], tmp_path / "cache", SIZE)
    with pytest.raises(RecordingError, match="neither a rosbag2.*`dvla collect`"):
        prepared_sources([tmp_path], tmp_path / "cache", SIZE)
