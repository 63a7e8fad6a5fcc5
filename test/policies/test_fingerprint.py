"""A fingerprint tells files apart without reading large ones whole."""

import pytest

from dvla_ros.errors import CheckpointError
from dvla_ros.policies import fingerprint as module
from dvla_ros.policies.fingerprint import fingerprint


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "sub" / "model.safetensors").write_bytes(bytes(100))
    return tmp_path


def test_the_same_files_have_the_same_fingerprint(folder):
    assert fingerprint(folder) == fingerprint(folder)
    assert len(fingerprint(folder)) == 16


@pytest.mark.parametrize("change", ["byte", "name", "size", "more"])
def test_other_files_have_another(folder, change):
    before, model = fingerprint(folder), folder / "sub" / "model.safetensors"
    if change == "byte":
        model.write_bytes(bytes(99) + b"1")
    elif change == "name":
        model.rename(folder / "sub" / "other.safetensors")
    elif change == "size":
        model.write_bytes(bytes(101))
    else:
        (folder / "more").write_text("")
    assert fingerprint(folder) != before


def test_of_a_large_file_both_ends_count(folder, monkeypatch):
    monkeypatch.setattr(module, "_WHOLE", 50)
    monkeypatch.setattr(module, "_END", 10)
    model, before = folder / "sub" / "model.safetensors", fingerprint(folder)
    model.write_bytes(bytes(50) + b"1" + bytes(49))
    assert fingerprint(folder) == before
    for changed in (b"1" + bytes(99), bytes(99) + b"1"):
        model.write_bytes(changed)
        assert fingerprint(folder) != before


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_what_is_no_checkpoint_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=f"{name} is no folder with a checkpoint"):
        fingerprint(tmp_path / name)
