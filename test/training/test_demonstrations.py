"""Demonstrations survive the way to the disk and back, and broken sets are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dvla_ros.errors import ConfigurationError, RecordingError
from dvla_ros.training.demonstrations import read_demonstrations, require_horizon
from dvla_ros.training.shard import Frame, Manifest, read_manifest, write_shard

MANIFEST = Manifest(
    ("front", "wrist"), ("pick up the red cube", "push it"), ("pick_red", "push_red_left"), 0.2, 5, "expert"
)


def frames(count, seed=0, horizon=8, action_dim=7):
    random = np.random.default_rng(seed)
    return [
        Frame(
            images=random.integers(0, 256, (2, 12, 16, 3), dtype=np.uint8),
            state=random.normal(size=7),
            actions=random.normal(size=(horizon, action_dim)),
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
        {"horizon": 4},
        {"task_names": ("x", "y")},
    ],
)
def test_shards_that_disagree_are_refused_by_name(tmp_path, change):
    write_shard(tmp_path / "shard-0", MANIFEST, frames(1))
    write_shard(tmp_path / "shard-1", replace(MANIFEST, **change), frames(1, horizon=change.get("horizon", 8)))
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


def test_a_set_with_another_action_dimension_is_refused_by_name(tmp_path):
    write_shard(tmp_path / "shard-0", MANIFEST, frames(2))
    write_shard(tmp_path / "shard-1", MANIFEST, frames(2, action_dim=14))
    with pytest.raises(ConfigurationError, match="shard-1 has actions of 14 numbers, others of 7.*another robot"):
        read_demonstrations([tmp_path])


def test_the_horizon_is_kept_and_one_that_is_not_said_is_eight(tmp_path):
    write_shard(tmp_path / "new", replace(MANIFEST, horizon=3), frames(2, horizon=3))
    write_shard(tmp_path / "old", MANIFEST, frames(2))
    fields = json.loads((tmp_path / "old" / "manifest.json").read_text())
    del fields["horizon"]
    (tmp_path / "old" / "manifest.json").write_text(json.dumps(fields))
    assert read_demonstrations([tmp_path / "new"]).manifest.horizon == 3
    assert read_demonstrations([tmp_path / "old"]).manifest.horizon == 8


def test_labels_too_short_for_a_policy_are_refused(tmp_path):
    write_shard(tmp_path, replace(MANIFEST, horizon=3), frames(2, horizon=3))
    read = read_demonstrations([tmp_path])
    require_horizon(read, 3, "dd_vla")
    with pytest.raises(ConfigurationError, match="dd_vla learns 4 actions at once, the demonstrations have 3"):
        require_horizon(read, 4, "dd_vla")


def damaged(folder, name, change):
    """A shard of three frames, one of whose arrays was changed on the disk."""
    write_shard(folder, MANIFEST, frames(3))
    np.save(folder / f"{name}.npy", change(np.load(folder / f"{name}.npy")))


def with_nan(values):
    values[1] = np.nan
    return values


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("futures", lambda values: values[:2], "3 states but 2 futures"),
        ("states", with_nan, "states that are no finite numbers in 1 frames, first 1"),
        ("actions", with_nan, "actions that are no finite numbers in 1 frames, first 1"),
        ("actions", lambda values: values[:, :5], "labels of 5 actions, its manifest says 8"),
        ("actions", lambda values: values[:, 0], "actions of shape .* not of 3 axes"),
        ("instructions", lambda values: values + 1, "instructions=2 in frame 1, must be 0 to 1"),
        ("frozen", lambda values: values - 1, "frozen=-1 in frame 0, must be 0 to 8"),
    ],
)
def test_a_shard_with_what_cannot_be_is_refused_by_name(tmp_path, name, change, words):
    write_shard(tmp_path / "shard-0", MANIFEST, frames(2))
    damaged(tmp_path / "shard-1", name, change)
    with pytest.raises(RecordingError, match=f"shard-1 is damaged: it has {words}"):
        read_demonstrations([tmp_path])


@pytest.mark.parametrize("text", ["", "{}", '{"cameras": ["front"]}', "[1]"])
def test_a_broken_manifest_is_refused_by_name(tmp_path, text):
    write_shard(tmp_path / "shard-0", MANIFEST, frames(1))
    (tmp_path / "shard-0" / "manifest.json").write_text(text)
    with pytest.raises(RecordingError, match=r"shard-0/manifest.json is broken"):
        read_demonstrations([tmp_path])


def test_pictures_are_read_from_the_disk_when_they_are_asked_for(tmp_path):
    write_shard(tmp_path / "shard-0", MANIFEST, frames(3))
    read = read_demonstrations([tmp_path])
    assert read.images.nbytes == 3 * 2 * 12 * 16 * 3
    np.save(tmp_path / "shard-0" / "images.npy", np.full((3, 2, 12, 16, 3), 7, np.uint8))
    assert (read.images[1] == 7).all()
