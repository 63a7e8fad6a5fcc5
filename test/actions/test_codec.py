"""Chunks to tokens and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dvla_ros.actions.bins import UniformBins
from dvla_ros.actions.codec import ActionCodec
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.errors import ActionError

LOW = np.array([-0.05, -0.02, 0.0])
HIGH = np.array([0.05, 0.10, 1.0])
CODEC = ActionCodec(Normalizer(LOW, HIGH, np.array([True, True, False])), UniformBins())
HALF_BIN = np.array([0.10 / 510, 0.12 / 510, 1 / 255])


@given(hnp.arrays(np.float64, (8, 3), elements=st.floats(0, 1)))
def test_the_round_trip_is_off_by_at_most_half_a_bin(share):
    actions = LOW + share * (HIGH - LOW)
    tokens = CODEC.encode(actions)
    assert (tokens.shape, tokens.dtype) == ((8, 3), np.int64)
    assert (np.abs(CODEC.decode(tokens) - actions) <= HALF_BIN + 1e-6).all()


@given(hnp.arrays(np.int64, (8, 3), elements=st.integers(0, 254)))
def test_tokens_survive_decoding_and_encoding(tokens):
    # The gripper column passes through, so its tokens too come back as they were.
    assert np.array_equal(CODEC.encode(CODEC.decode(tokens)), tokens)


def test_the_gripper_goes_into_the_bins_as_it_is():
    closed, opened = CODEC.encode([[0, 0, 0.0], [0, 0, 1.0]])[:, 2]
    assert UniformBins().to_vocabulary([closed, opened]).tolist() == [31872, 31744]
    assert CODEC.decode([[0, 0, closed], [0, 0, opened]])[:, 2] == pytest.approx([0, 1], abs=0.004)


def test_batches_keep_their_shape():
    assert CODEC.decode(np.zeros((2, 8, 3), dtype=np.int64)).shape == (2, 8, 3)
    assert CODEC.decode(np.zeros((8, 3), dtype=np.int64)).dtype == np.float32


def test_another_action_dimension_is_refused():
    with pytest.raises(ActionError, match="3 columns"):
        CODEC.encode(np.zeros((8, 7)))
    with pytest.raises(ActionError, match="3 columns"):
        CODEC.decode(np.zeros((8, 7), dtype=np.int64))


def test_a_mask_token_is_refused():
    with pytest.raises(ActionError, match="256"):
        CODEC.decode([[0, 0, CODEC.vocabulary]])
