"""A column on the disk is indexed as an array in memory is, and broken files are refused by name."""

import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.errors import ConfigurationError, RecordingError
from dvla_ros.training import frame_column
from dvla_ros.training.frame_column import FrameColumn
from dvla_ros.training.npy_rows import NpyRows

LENGTHS = (4, 1, 3)
ROWS = sum(LENGTHS)


def parts():
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (length, 2, 3), dtype=np.uint8) for length in LENGTHS]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three files of different lengths."""
    folder = tmp_path_factory.mktemp("column")
    for number, part in enumerate(parts()):
        np.save(folder / f"{number}.npy", part)
    return [folder / f"{number}.npy" for number in range(len(LENGTHS))]


@pytest.fixture(scope="module")
def column(files):
    return FrameColumn([NpyRows(path) for path in files])


WHOLE = np.concatenate(parts())


@given(st.lists(st.integers(-ROWS, ROWS - 1), max_size=12))
def test_any_rows_in_any_order_are_those_of_the_whole(column, rows):
    found = column[rows]
    assert found.dtype == WHOLE.dtype and np.array_equal(found, WHOLE[np.array(rows, np.int64)])


@given(st.slices(ROWS))
def test_any_slice_is_that_of_the_whole(column, rows):
    assert np.array_equal(column[rows], WHOLE[rows])


def test_what_is_read_is_an_array_of_its_own(column):
    column[2:6][:] = 0
    assert np.array_equal(column, WHOLE) and (column.shape, len(column)) == (WHOLE.shape, ROWS)
    assert column.nbytes == WHOLE.nbytes


@pytest.mark.parametrize("index", [5, -1, np.int64(4), ..., (slice(1, 7), 1), (3, 0, slice(1, None))])
def test_one_row_and_parts_of_rows(column, index):
    assert np.array_equal(column[index], WHOLE[index])


@pytest.mark.parametrize("index", [ROWS, [0, -ROWS - 1], [0.5], [[1, 2]], np.ones(ROWS, bool), (0, [1])])
def test_what_is_no_row_is_refused(column, index):
    with pytest.raises(IndexError):
        column[index]


def test_more_files_than_may_stay_open_are_read_all_the_same(files, monkeypatch):
    monkeypatch.setattr(frame_column, "_OPEN_FILES", 1)
    column = FrameColumn([NpyRows(path) for path in files])
    rows = np.random.default_rng(1).permutation(ROWS)
    assert np.array_equal(column[rows], WHOLE[rows])


def test_a_copy_in_another_process_opens_its_own_files(column):
    column[0]
    assert np.array_equal(pickle.loads(pickle.dumps(column))[:], WHOLE)


def test_no_file_stays_open_after_its_column(files):
    before = len(os.listdir("/proc/self/fd"))
    column = FrameColumn([NpyRows(path) for path in files])
    column[:]
    assert len(os.listdir("/proc/self/fd")) == before + len(files)
    del column
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("change", [-1, 5])
def test_a_file_of_another_size_than_it_says_is_refused_by_name(tmp_path, change):
    np.save(tmp_path / "images.npy", WHOLE)
    whole = (tmp_path / "images.npy").read_bytes()
    (tmp_path / "images.npy").write_bytes(whole[:change] if change < 0 else whole + bytes(change))
    with pytest.raises(RecordingError, match=rf"images.npy is damaged: .* 48 bytes .* {48 + change} are there"):
        NpyRows(tmp_path / "images.npy")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "not a readable .npy"), (b"PK\x03\x04 something else", "not a readable .npy"), (None, "cannot be read")],
)
def test_what_is_no_array_is_refused_by_name(tmp_path, content, words):
    if content is not None:
        (tmp_path / "images.npy").write_bytes(content)
    with pytest.raises(RecordingError, match=f"images.npy {words}|images.npy is {words}"):
        NpyRows(tmp_path / "images.npy")


@pytest.mark.parametrize("array", [np.asfortranarray(np.ones((2, 3))), np.array(1.0), np.array(["a", {}], object)])
def test_what_is_no_rows_of_numbers_is_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(RecordingError, match="rows of numbers in C order"):
        NpyRows(tmp_path / "a.npy")


def test_a_file_that_is_cut_while_it_is_in_use_is_named(tmp_path):
    np.save(tmp_path / "images.npy", WHOLE)
    column = FrameColumn([NpyRows(tmp_path / "images.npy")])
    os.truncate(tmp_path / "images.npy", (tmp_path / "images.npy").stat().st_size - 6)
    assert np.array_equal(column[: ROWS - 1], WHOLE[:-1])
    with pytest.raises(RecordingError, match=r"images.npy ended while it was read"):
        column[ROWS - 1]


def test_a_file_that_is_gone_is_named(tmp_path):
    np.save(tmp_path / "images.npy", WHOLE)
    column = FrameColumn([NpyRows(tmp_path / "images.npy")])
    (tmp_path / "images.npy").unlink()
    with pytest.raises(RecordingError, match=r"images.npy cannot be read any more"):
        column[0]


def test_files_of_different_rows_are_refused_by_name(tmp_path, files):
    np.save(tmp_path / "other.npy", np.zeros((2, 2, 4), np.uint8))
    with pytest.raises(ConfigurationError, match=r"other.npy has rows of uint8 \(2, 4\)"):
        FrameColumn([NpyRows(files[0]), NpyRows(tmp_path / "other.npy")])
