"""Chunks of one token per number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dvla_ros.actions.bin_chunk_codec import BinChunkCodec
from dvla_ros.actions.bins import UniformBins
from dvla_ros.actions.chunk_codec import ChunkCodec
from dvla_ros.actions.intervals import UniformIntervals
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.errors import ActionError, ConfigurationError

LOW = np.array([-0.05, -0.02, 0.0])
HIGH = np.array([0.05, 0.10, 1.0])
GRIPPER_PASSES = Normalizer(LOW, HIGH, np.array([True, True, False]))
ALL_NORMALISED = Normalizer(LOW, HIGH, np.array([True, True, True]))
CODEC = BinChunkCodec(GRIPPER_PASSES, UniformBins(), horizon=8)
BINARY = BinChunkCodec(ALL_NORMALISED, UniformIntervals(), horizon=5, binary_columns=(2,))

SHARES = hnp.arrays(np.float64, (8, 3), elements=st.floats(0, 1))


def test_it_is_a_chunk_codec():
    codec: ChunkCodec = CODEC
    assert (codec.vocabulary, codec.length, codec.horizon, codec.dim) == (256, 24, 8, 3)
    assert (BINARY.vocabulary, BINARY.length) == (32, 15)


@given(SHARES)
def test_tokens_are_the_bins_of_the_normalised_numbers_row_by_row(share):
    actions = LOW + share * (HIGH - LOW)
    tokens = CODEC.encode(actions)
    assert tokens.dtype == np.int64
    for step, row in enumerate(actions):
        for column, number in enumerate(row):
            normalised = number if column == 2 else 2 * (number - LOW[column]) / (HIGH[column] - LOW[column] + 1e-8) - 1
            place = (normalised + 1) * 255 / 2
            on_an_edge = abs(place - round(place)) < 1e-6
            assert abs(tokens[step * 3 + column] - int(np.floor(place))) <= int(on_an_edge)


@given(SHARES)
def test_the_round_trip_is_off_by_at_most_half_a_bin(share):
    actions = LOW + share * (HIGH - LOW)
    decoded = CODEC.decode(CODEC.encode(actions))
    assert (decoded.actions.dtype, decoded.malformed, decoded.reason, decoded.usable) == (np.float32, False, "", True)
    assert (np.abs(decoded.actions - actions) <= np.array([0.10 / 510, 0.12 / 510, 1 / 255]) + 1e-6).all()


def test_leading_axes_are_kept():
    assert CODEC.encode(np.zeros((2, 6, 8, 3))).shape == (2, 6, 24)
    assert CODEC.encode(np.zeros((0, 8, 3))).shape == (0, 24)


def test_a_binary_column_takes_the_first_or_the_last_bin():
    chunk = np.zeros((5, 3))
    chunk[:, 2] = [0.0, 0.2, 0.5, 0.6, 1.0]
    tokens = BINARY.encode(chunk).reshape(5, 3)
    assert tokens[:, 2].tolist() == [0, 0, 0, 31, 31]
    assert BINARY.decode(tokens.ravel()).actions[:, 2] == pytest.approx([0, 0, 0, 1, 1], abs=1e-6)


def test_any_bin_of_a_binary_column_decodes_to_one_of_the_two_ends():
    tokens = np.zeros((5, 3), dtype=np.int64)
    tokens[:, 2] = [0, 7, 15, 16, 31]
    assert BINARY.decode(tokens.ravel()).actions[:, 2] == pytest.approx([0, 0, 0, 1, 1], abs=1e-6)


@pytest.mark.parametrize("column", [0, 2])
def test_nan_is_refused_in_a_binary_column_too(column):
    chunk = np.zeros((5, 3))
    chunk[1, column] = np.nan
    with pytest.raises(ActionError, match="NaN or infinite"):
        BINARY.encode(chunk)


@pytest.mark.parametrize("shape", [(8, 7), (5, 3), (24,)])
def test_chunks_of_another_shape_are_refused(shape):
    with pytest.raises(ActionError, match=r"\[\.\.\., 8, 3\]"):
        CODEC.encode(np.zeros(shape))


@pytest.mark.parametrize("shape", [(8, 3), (23,), (2, 24)])
def test_another_number_of_tokens_is_refused(shape):
    with pytest.raises(ActionError, match="24 tokens"):
        CODEC.decode(np.zeros(shape, dtype=np.int64))


@pytest.mark.parametrize("token", [-1, CODEC.vocabulary])
def test_a_mask_token_is_refused(token):
    with pytest.raises(ActionError, match=r"0\.\.255"):
        CODEC.decode([token] + [0] * 23)


@pytest.mark.parametrize(("normalizer", "columns"), [(GRIPPER_PASSES, (2,)), (ALL_NORMALISED, (0, 3))])
def test_a_binary_column_must_be_normalised(normalizer, columns):
    with pytest.raises(ConfigurationError, match=f"got .{columns[-1]}"):
        BinChunkCodec(normalizer, UniformBins(), horizon=8, binary_columns=columns)


def test_a_horizon_of_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="got 0"):
        BinChunkCodec(GRIPPER_PASSES, UniformBins(), horizon=0)
