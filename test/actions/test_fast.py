"""FAST against the ids of the published tokenizers, and what becomes of ids that are no chunk."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tokenizers import Tokenizer

from dvla_ros.actions.fast import FastTokenizer
from dvla_ros.errors import ActionError, CheckpointError, ConfigurationError

DATA = Path(__file__).parent / "data"
HORIZON, DIM = 10, 7
ZEROS = np.zeros((HORIZON, DIM))
GRIPPER_OPEN = np.tile([0.0, 0, 0, 0, 0, 0, 1], (HORIZON, 1))
NORMALISED = hnp.arrays(np.float64, (HORIZON, DIM), elements=st.floats(-1, 1))


def coefficients_of(name: str, ids: list[int]) -> list[int]:
    """The integers that ids stand for, through the tokenizer's file alone."""
    folder = DATA / f"fast_{name}"
    offset = json.loads((folder / "processor_config.json").read_text())["min_token"]
    return [ord(character) + offset for character in Tokenizer.from_file(str(folder / "tokenizer.json")).decode(ids)]


@pytest.mark.parametrize(
    ("name", "scale", "vocabulary", "min_token"),
    [("universal", 10, 2048, -354), ("calvin_abcd", 50, 1024, -158), ("libero_all", 50, 1024, -158)],
)
def test_the_published_files_load(published, name, scale, vocabulary, min_token):
    tokenizer = published[name]
    assert (tokenizer.scale, tokenizer.vocabulary, tokenizer.min_token) == (scale, vocabulary, min_token)


@pytest.mark.parametrize(
    ("name", "chunk", "ids"),
    [
        ("calvin_abcd", ZEROS, [439] * 16 + [902]),
        ("libero_all", ZEROS, [493, 493, 393]),
        ("universal", ZEROS, [262, 777]),
        ("calvin_abcd", GRIPPER_OPEN, [902, 360] + [439] * 15 + [388]),
        ("libero_all", GRIPPER_OPEN, [393, 347, 493, 698, 357]),
        ("universal", GRIPPER_OPEN, [777, 421, 261, 827]),
    ],
)
def test_golden_ids_of_constant_chunks(published, name, chunk, ids):
    tokenizer = published[name]
    assert tokenizer.encode(chunk) == ids
    decoded = tokenizer.decode(ids)
    assert (decoded.malformed, decoded.reason, decoded.usable) == (False, "", True)
    assert decoded.actions == pytest.approx(chunk, abs=1 / tokenizer.scale)
    assert np.array_equal(decoded.actions[:, :6], np.zeros((HORIZON, 6)))


def test_golden_ids_of_the_sine_chunk(published, calvin, sine_chunk):
    ids = calvin.encode(sine_chunk)
    assert (len(ids), ids[:10]) == (45, [507, 528, 355, 324, 359, 366, 911, 324, 496, 486])
    assert len(published["universal"].encode(sine_chunk)) == 25


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("calvin_abcd", [49, 45, 11, 0, 12, 14, 0, -26, 0, 41, 38, 7, 0, -143]),
        ("libero_all", [49, 45, 11, 0, 12, 14, 0, -26, 0, 41, 38, 7, 0, -143]),
        ("universal", [10, 9, 2, 0, 2, 3, 0]),
    ],
)
def test_golden_coefficients_of_the_sine_chunk(published, name, rows, sine_chunk):
    integers = coefficients_of(name, published[name].encode(sine_chunk))
    assert len(integers) == HORIZON * DIM
    assert integers[: len(rows)] == rows


@pytest.mark.parametrize(("name", "error"), [("calvin_abcd", 0.01378), ("libero_all", 0.01378), ("universal", 0.0740)])
def test_golden_round_trip_error_of_the_sine_chunk(published, name, error, sine_chunk):
    tokenizer = published[name]
    decoded = tokenizer.decode(tokenizer.encode(sine_chunk))
    assert np.abs(decoded.actions - sine_chunk).max() == pytest.approx(error, abs=5e-5)


@settings(max_examples=40)
@given(NORMALISED)
def test_the_round_trip_is_off_by_no_more_than_rounding_can_be(calvin, chunk):
    decoded = calvin.decode(calvin.encode(chunk))
    assert not decoded.malformed
    assert np.abs(decoded.actions - chunk).max() <= math.sqrt(HORIZON) / (2 * calvin.scale) + 1e-12


@settings(max_examples=40)
@given(NORMALISED)
def test_what_was_decoded_decodes_the_same_again(calvin, chunk):
    once = calvin.decode(calvin.encode(chunk)).actions
    again = calvin.decode(calvin.encode(once)).actions
    assert again == pytest.approx(once, abs=1e-12)


def test_a_batch_encodes_as_its_chunks_do(calvin, sine_chunk):
    assert calvin.encode_batch([ZEROS, sine_chunk]) == [calvin.encode(ZEROS), calvin.encode(sine_chunk)]


def test_too_few_coefficients_are_filled_with_zeros(calvin, sine_chunk):
    ids = calvin.encode(sine_chunk)[:20]
    integers = coefficients_of("calvin_abcd", ids)
    decoded = calvin.decode(ids)

    assert decoded.malformed and decoded.usable
    assert decoded.reason == f"{len(integers)} coefficients instead of 70"
    grid = np.array(integers + [0] * (70 - len(integers))).reshape(HORIZON, DIM) / 50
    expected = sum(
        np.outer([math.sqrt((2 if k else 1) / 10) * math.cos(math.pi * k * (n + 0.5) / 10) for n in range(10)], grid[k])
        for k in range(10)
    )
    assert decoded.actions == pytest.approx(expected, abs=1e-12)


def test_too_many_coefficients_are_cut_off(calvin, sine_chunk):
    ids = calvin.encode(sine_chunk)
    decoded = calvin.decode(ids + calvin.encode(ZEROS))
    assert (decoded.malformed, decoded.usable, decoded.reason) == (True, True, "140 coefficients instead of 70")
    assert np.array_equal(decoded.actions, calvin.decode(ids).actions)


def test_ids_cut_off_within_a_coefficient_are_merely_short(calvin):
    whole = calvin.encode(ZEROS)
    half = calvin.tokenizer.token_to_id("ð")  # the first of a character's four bytes
    decoded = calvin.decode([*whole[:-1], half])
    assert (decoded.malformed, decoded.usable) == (True, True)
    assert np.array_equal(decoded.actions, ZEROS)


@pytest.mark.parametrize("change", [lambda ids: ids[:20], lambda ids: ids * 2])
def test_another_number_of_coefficients_is_no_chunk_without_repair(calvin, sine_chunk, change):
    decoded = calvin.decode(change(calvin.encode(sine_chunk)), repair=False)
    assert decoded.malformed and np.isnan(decoded.actions).all()
    assert "instead of 70" in decoded.reason
    assert not calvin.decode(calvin.encode(sine_chunk), repair=False).malformed


@pytest.mark.parametrize("ids", [[], [357]])
def test_less_than_one_frequency_says_nothing_of_some_column(published, ids):
    assert len(coefficients_of("libero_all", ids)) < DIM
    decoded = published["libero_all"].decode(ids)
    assert decoded.malformed and not decoded.usable
    assert "instead of 70" in decoded.reason


def test_bytes_that_are_no_text_are_no_chunk(calvin):
    whole = calvin.encode(ZEROS)
    half = calvin.tokenizer.token_to_id("ð")
    decoded = calvin.decode([*whole[:1], half, *whole[1:]])
    assert decoded.malformed and not decoded.usable
    assert "no UTF-8 text" in decoded.reason


@pytest.mark.parametrize("foreign", [-1, 1024, 10**12])
def test_ids_outside_the_vocabulary_are_no_chunk(calvin, foreign):
    decoded = calvin.decode([*calvin.encode(ZEROS), foreign])
    assert decoded.malformed and np.isnan(decoded.actions).all()
    assert decoded.reason == f"id {foreign} is outside 0..1023"


@settings(max_examples=60)
@given(st.lists(st.integers(-3, 2060), max_size=80), st.booleans())
def test_any_ids_decode_to_numbers_or_to_a_flag(published, ids, repair):
    decoded = published["universal"].decode(ids, repair=repair)
    assert decoded.actions.shape == (HORIZON, DIM)
    assert decoded.usable or (decoded.malformed and np.isnan(decoded.actions).all())
    assert decoded.malformed == bool(decoded.reason)


@pytest.mark.parametrize(("value", "extremes"), [(1e3, r"0\.\.158114"), (-5.0, r"-791\.\.0")])
def test_coefficients_below_the_alphabet_or_beyond_text_are_refused(calvin, value, extremes):
    with pytest.raises(ActionError, match=f"got {extremes}; are the actions normalised"):
        calvin.encode(np.full((HORIZON, DIM), value))


def test_coefficients_above_the_alphabet_are_refused_and_not_dropped():
    tokenizer = FastTokenizer.fit(np.zeros((1, 4, 1)), vocabulary_size=None, scale=10)
    with pytest.raises(ActionError, match=r"no token for the coefficients \[30\]"):
        tokenizer.encode(np.full((4, 1), 1.5))


def test_a_surrogate_is_refused_to_the_number(calvin):
    tokenizer = FastTokenizer(1.0, 0, 1, 1, calvin.tokenizer)
    with pytest.raises(ActionError, match=r"0\.\.55295, got 55296\.\.55296"):
        tokenizer.encode([[0xD800]])


@pytest.mark.parametrize("shape", [(10, 6), (9, 7), (70,)])
def test_chunks_of_another_shape_are_refused(calvin, shape):
    with pytest.raises(ActionError, match=r"\[10, 7\]"):
        calvin.encode(np.zeros(shape))


def test_numbers_that_are_not_finite_are_refused(calvin):
    with pytest.raises(ActionError, match="NaN or infinite"):
        calvin.encode(np.full((HORIZON, DIM), np.nan))


def test_without_merges_every_coefficient_is_one_id(windows):
    tokenizer = FastTokenizer.fit(windows, vocabulary_size=None, scale=10)
    assert tokenizer.min_token == -round(10 * math.sqrt(8))
    assert tokenizer.vocabulary == 2 * 28 + 1
    assert {len(ids) for ids in tokenizer.encode_batch(windows)} == {24}
    assert tokenizer.encode(np.zeros((8, 3))) == [28] * 24


@pytest.mark.parametrize("byte_level", [False, True])
def test_merges_shorten_chunks_and_lose_nothing(windows, byte_level):
    plain = FastTokenizer.fit(windows, vocabulary_size=None)
    merged = FastTokenizer.fit(windows, vocabulary_size=512, byte_level=byte_level)
    assert merged.vocabulary == 512
    ids = merged.encode_batch(windows)
    assert np.mean([len(one) for one in ids]) < 18
    for one, other in zip(ids, plain.encode_batch(windows), strict=True):
        assert np.array_equal(merged.decode(one).actions, plain.decode(other).actions)


@pytest.mark.parametrize("byte_level", [False, True])
def test_every_normalised_chunk_can_be_encoded_after_the_fit_seen_or_not(byte_level):
    tokenizer = FastTokenizer.fit(np.zeros((2, 8, 3)), vocabulary_size=1024, byte_level=byte_level)
    extremes = np.random.default_rng(1).choice([-1.0, 1.0], (200, 8, 3))
    extremes[0], extremes[1] = 1.0, -1.0
    for ids, chunk in zip(tokenizer.encode_batch(extremes), extremes, strict=True):
        assert np.abs(tokenizer.decode(ids).actions - chunk).max() <= math.sqrt(8) / 100 + 1e-12


def test_chunks_beyond_the_normalised_range_widen_the_alphabet():
    tokenizer = FastTokenizer.fit(np.full((1, 4, 1), -3.0), vocabulary_size=None, scale=10)
    assert (tokenizer.min_token, tokenizer.vocabulary) == (-60, 81)


def test_a_fit_is_the_same_every_time(windows):
    first, second = (FastTokenizer.fit(windows, vocabulary_size=400) for _ in range(2))
    assert first.tokenizer.to_str() == second.tokenizer.to_str()


def test_a_vocabulary_smaller_than_the_alphabet_is_refused(windows):
    with pytest.raises(ConfigurationError, match="at least 283, .*got 282"):
        FastTokenizer.fit(windows, vocabulary_size=282)


def test_bytes_without_merges_are_refused(windows):
    with pytest.raises(ConfigurationError, match="byte_level needs a vocabulary_size"):
        FastTokenizer.fit(windows, vocabulary_size=None, byte_level=True)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_that_is_not_positive_is_refused(windows, scale):
    with pytest.raises(ConfigurationError, match="scale must be positive"):
        FastTokenizer.fit(windows, vocabulary_size=None, scale=scale)


@pytest.mark.parametrize("shape", [(0, 8, 3), (8, 3)])
def test_a_fit_needs_chunks(shape):
    with pytest.raises(ActionError, match=r"\[N, H, D\]"):
        FastTokenizer.fit(np.zeros(shape), vocabulary_size=None)


@pytest.mark.parametrize("byte_level", [False, True])
def test_a_saved_tokenizer_loads_as_it_was(tmp_path, windows, byte_level):
    saved = FastTokenizer.fit(windows, vocabulary_size=600, scale=20.5, byte_level=byte_level)
    saved.save(tmp_path / "new" / "fast")
    loaded = FastTokenizer.load(tmp_path / "new" / "fast")
    assert (loaded.scale, loaded.min_token, loaded.horizon, loaded.action_dim) == (20.5, saved.min_token, 8, 3)
    assert loaded.vocabulary == saved.vocabulary
    ids = saved.encode_batch(windows[:20])
    assert loaded.encode_batch(windows[:20]) == ids
    assert all(np.array_equal(loaded.decode(one).actions, saved.decode(one).actions) for one in ids)


def test_the_shape_of_a_published_tokenizer_must_be_told():
    with pytest.raises(CheckpointError, match="does not say its horizon"):
        FastTokenizer.load(DATA / "fast_calvin_abcd")


def test_a_shape_that_contradicts_the_folder_is_refused(tmp_path, windows):
    FastTokenizer.fit(windows, vocabulary_size=None).save(tmp_path)
    with pytest.raises(CheckpointError, match="made for horizon 8, not 10"):
        FastTokenizer.load(tmp_path, horizon=10)


@pytest.mark.parametrize("name", ["tokenizer.json", "processor_config.json"])
def test_a_missing_file_is_named(tmp_path, windows, name):
    FastTokenizer.fit(windows, vocabulary_size=None).save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=f"has no {name}"):
        FastTokenizer.load(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "processor_config.json"])
@pytest.mark.parametrize("content", ["{}", "no JSON", "[]"])
def test_a_broken_file_is_named(tmp_path, windows, name, content):
    FastTokenizer.fit(windows, vocabulary_size=None).save(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(CheckpointError, match=name):
        FastTokenizer.load(tmp_path)
