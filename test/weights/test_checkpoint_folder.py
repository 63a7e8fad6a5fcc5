"""Nothing outside of a checkpoint folder is opened in its name; a Hugging Face cache works."""

import os

import pytest

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.checkpoint_folder import JSON_LIMIT, file_in, json_in, json_object


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (tmp_path / "secret.json").write_text("{}")
    return folder


def test_a_file_of_the_folder(folder):
    (folder / "config.json").write_text("{}")
    assert file_in(folder, "config.json") == folder / "config.json"


@pytest.mark.parametrize("name", ["../secret.json", "/etc/passwd", "a/b", "..\\secret.json", "..", ".", "", "a\0b"])
def test_a_name_with_a_path_in_it_is_refused(folder, name):
    with pytest.raises(CheckpointError, match="only files in the folder itself are read"):
        file_in(folder, name)


@pytest.mark.parametrize("name", ["model.safetensors", "x" * 5000, "\ud800"])
def test_a_missing_or_impossible_file_is_refused(folder, name):
    with pytest.raises(CheckpointError, match="has no file|cannot be found"):
        file_in(folder, name)


def test_a_link_out_of_the_folder_is_refused_and_says_where_it_leads(folder):
    (folder / "config.json").symlink_to("../secret.json")
    with pytest.raises(
        CheckpointError, match=r"config\.json is a link out of the checkpoint folder, to .*secret\.json"
    ):
        file_in(folder, "config.json")


def test_a_link_within_the_folder_and_a_link_to_the_folder_are_fine(folder, tmp_path):
    (folder / "real.json").write_text("{}")
    (folder / "config.json").symlink_to("real.json")
    (tmp_path / "latest").symlink_to("checkpoint")
    assert file_in(tmp_path / "latest", "config.json") == folder / "real.json"


def test_a_circle_of_links_is_refused(folder):
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(CheckpointError, match="cannot be found|leads nowhere"):
        file_in(folder, "a")


def test_what_is_no_regular_file_is_refused(folder):
    os.mkfifo(folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="not a regular file"):
        file_in(folder, "model.safetensors")


@pytest.mark.parametrize("below", [".", "posttrain"])
def test_links_of_a_hugging_face_cache_are_followed(tmp_path, below):
    repository = tmp_path / "models--lab--policy"
    blob = repository / "blobs" / "0f3a"
    snapshot = repository / "snapshots" / "abcdef" / below
    snapshot.mkdir(parents=True)
    blob.parent.mkdir()
    blob.write_text("{}")
    (snapshot / "config.json").symlink_to(os.path.relpath(blob, snapshot))
    assert file_in(snapshot, "config.json") == blob


def test_links_into_the_blobs_that_a_cache_shares_are_followed(tmp_path):
    shared = tmp_path / "blobs" / "ab" / ("ab" * 32)
    repository = tmp_path / "models--lab--policy"
    snapshot = repository / "snapshots" / "abcdef"
    for place in (shared.parent, repository / "blobs", snapshot):
        place.mkdir(parents=True)
    shared.write_text("{}")
    (repository / "blobs" / "0f3a").symlink_to(f"../../blobs/ab/{shared.name}")
    (snapshot / "config.json").symlink_to("../../blobs/0f3a")
    assert file_in(snapshot, "config.json") == shared


def test_a_snapshot_may_not_lead_out_of_its_cache(tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    repository = tmp_path / "models--lab--policy"
    snapshot = repository / "snapshots" / "abcdef"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "blobs" / "0f3a").symlink_to("../../secret.json")
    (snapshot / "config.json").symlink_to("../../blobs/0f3a")
    with pytest.raises(CheckpointError, match="link out of the checkpoint folder"):
        file_in(snapshot, "config.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"not json", "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[1]", "must hold a JSON object, got list"),
        (b'{"a": 1, "a": 2}', "the key 'a' occurs twice"),
        (b'{"a": ' * 100_000, "is not valid JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(text, message):
    with pytest.raises(CheckpointError, match=message):
        json_object(text, "index")


def test_a_gigantic_json_file_is_refused(folder):
    with (folder / "config.json").open("wb") as file:
        file.truncate(JSON_LIMIT + 1)
    with pytest.raises(CheckpointError, match="longer than"):
        json_in(folder, "config.json")
