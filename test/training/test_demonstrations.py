"""Demonstrations survive the way to the disk and back, and broken sets are refused."""

from dataclasses import replace

import numpy as np
import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.training.demonstrations import Frame, Manifest, read_demonstrations, read_manifest, write_shard

MANIFEST = Manifest(
    ("front", "wrist"), ("pick up the red cube", "push it"), ("pick_red", "push_red_left"), 0.2, 5, "expert"
)


def frames(count, seed=0):
    random = np.random.default_rng(seed)
    return [
        Frame(
            images=random.integers(0, 256, (2, 12, 16, 3), dtype=np.uint8),
            state=random.normal(size=7),
            actions=random.normal(size=(8, 7)),
            instruction=i % 2,
            pixels=random.uniform(size=(2, 2, 2)),
            points=random.normal(size=(2, 3)),
            futures=random.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8),
            episode=seed,
        )
        for i in range(count)
    ]


def test_what_is_written_is_read_back_in_order(tmp_path):
    first, second = frames(3), frames(2, seed=1)
    write_shard(tmp_path / "shard-0", MANIFEST, first)
    write_shard(tmp_path / "shard-1", MANIFEST, second)
    read = read_demonstrations([tmp_path])
    assert len(read) == 5 and read.manifest == MANIFEST
    for i, frame in enumerate([*first, *second]):
        assert (read.images[i] == frame.images).all()
        assert read.states[i] == pytest.approx(frame.state, abs=1e-6)
        assert read.actions[i] == pytest.approx(frame.actions, abs=1e-6)
        assert read.pixels[i] == pytest.approx(frame.pixels, abs=1e-6)
        assert read.points[i] == pytest.approx(frame.points, abs=1e-6)
        assert (read.instructions[i], read.episodes[i]) == (frame.instruction, frame.episode)


def test_several_folders_are_one_set(tmp_path):
    write_shard(tmp_path / "a" / "shard-0", MANIFEST, frames(3))
    write_shard(tmp_path / "b" / "shard-0", replace(MANIFEST, seed=9, source="dd_vla"), frames(2))
    assert len(read_demonstrations([tmp_path / "a", tmp_path / "b"])) == 5


def test_an_unfinished_shard_is_ignored(tmp_path):
    write_shard(tmp_path / "shard-0", MANIFEST, frames(3))
    write_shard(tmp_path / "shard-1", MANIFEST, frames(3))
    (tmp_path / "shard-1" / "manifest.json").unlink()
    assert len(read_demonstrations([tmp_path])) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"cameras": ("wrist", "front")},
        {"dt": 0.1},
        {"task_names": ("x", "y")},
    ],
)
def test_shards_that_disagree_are_refused_by_name(tmp_path, change):
    write_shard(tmp_path / "shard-0", MANIFEST, frames(1))
    write_shard(tmp_path / "shard-1", replace(MANIFEST, **change), frames(1))
    with pytest.raises(ConfigurationError, match=f"shard-1 has {next(iter(change))}="):
        read_demonstrations([tmp_path])


def test_sets_with_other_sentences_are_one_set_with_all_of_them(tmp_path):
    more = Manifest(MANIFEST.cameras, ("wipe the table", "push it"), ("", "push_red_left"), 0.2, 0, "recording")
    write_shard(tmp_path / "shard-0", MANIFEST, frames(4))
    write_shard(tmp_path / "shard-1", more, frames(3))
    read = read_demonstrations([tmp_path])
    assert read.manifest.instructions == ("pick up the red cube", "push it", "wipe the table")
    assert read.manifest.task_names == ("pick_red", "push_red_left", "")
    assert read.instructions.tolist() == [0, 1, 0, 1, 2, 1, 2]


def test_pictures_of_another_size_are_refused_by_name(tmp_path):
    write_shard(tmp_path / "shard-0", MANIFEST, frames(1))
    smaller = [replace(frame, images=frame.images[:, ::2, ::2]) for frame in frames(1)]
    write_shard(tmp_path / "shard-1", MANIFEST, smaller)
    with pytest.raises(ConfigurationError, match="shard-1 has pictures of 8x6, others of 16x12"):
        read_demonstrations([tmp_path])


def test_another_format_is_refused(tmp_path):
    write_shard(tmp_path / "shard-0", replace(MANIFEST, format=2), frames(1))
    with pytest.raises(ConfigurationError, match="shard-0 has format 2, not 3: collect it again"):
        read_demonstrations([tmp_path])


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    with pytest.raises(ConfigurationError, match="make some with `dvla collect`"):
        read_demonstrations([tmp_path])


def test_the_manifest_is_read_with_its_types(tmp_path):
    write_shard(tmp_path, MANIFEST, frames(1))
    assert read_manifest(tmp_path) == MANIFEST
