"""Rows of a chunk as tokens: frozen, guessed, needed, decided, for codings with and without a token per number."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.actions.bin_chunk_codec import BinChunkCodec
from dvla_ros.actions.bins import UniformBins
from dvla_ros.actions.fast import FastTokenizer
from dvla_ros.actions.fast_chunk_codec import FastChunkCodec
from dvla_ros.actions.intervals import UniformIntervals
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.denoising.canvas import FREE, Canvas, Segment
from dvla_ros.policies.base import Guess
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.policies.row_tokens import RowTokens

H, D = 4, 2
NORMALIZER = Normalizer(np.array([-1.0, -0.5]), np.array([1.0, 0.5]), np.ones(D, bool))
BINS = BinChunkCodec(NORMALIZER, UniformBins(16), H)
SAMPLES = np.random.default_rng(0).uniform(-1, 1, (50, H, D))
FAST = FastChunkCodec(NORMALIZER, FastTokenizer.fit(SAMPLES, vocabulary_size=None, scale=20.0), H * D)


def rows_of(codec):
    """Behind an image of three positions, and for FAST behind a BOA."""
    begin = (Segment("image", 1, 3, 5),)
    if codec is BINS:
        return RowTokens(codec, Canvas((*begin, Segment("action", H, D, 16))))
    boa = (codec.vocabulary, *[FREE] * codec.length)
    return RowTokens(codec, Canvas((*begin, Segment("action", 1, 1 + H * D, 1 + codec.vocabulary, boa, 1))))


def request(frozen, guess=None):
    return ChunkRequest(np.asarray(frozen, np.float32).reshape(-1, D), None, None, guess, None)


ROWS = np.array([[0.3, 0.1], [-0.6, 0.2]], np.float32)


def test_frozen_rows_are_their_own_tokens_at_their_own_positions():
    frozen = rows_of(BINS).frozen(ROWS)
    assert frozen.shape == (1, 11)
    assert frozen[0, :3].tolist() == [FREE] * 3 and frozen[0, 7:].tolist() == [FREE] * 4
    expected = BINS.encode(np.concatenate([ROWS, np.zeros((2, D))]))[:4]
    assert frozen[0, 3:7].tolist() == expected.tolist()


def test_no_row_can_be_frozen_where_tokens_are_frequencies():
    assert rows_of(FAST).frozen(ROWS) is None
    assert rows_of(BINS).frozen(ROWS[:0]) is None


def test_guessed_numbers_are_tokens_and_unguessed_ones_are_free():
    guess = Guess.of_leading(np.concatenate([ROWS, ROWS])[:3], np.full((3, D), 0.5), H)
    warm = rows_of(BINS).guess(request(ROWS[:1], guess))
    assert warm.tokens[0, 9:].tolist() == [FREE, FREE] and (warm.tokens[0, 3:9] != FREE).all()
    assert warm.confidence[0].tolist() == [0, 0, 0, 1, 1, 0.5, 0.5, 0.5, 0.5, 0, 0]


def test_a_guess_of_some_rows_is_one_of_all_frequencies_and_less_sure():
    guess = Guess.of_leading(ROWS, np.full((2, D), 0.8), H)
    warm = rows_of(FAST).guess(request([], guess))
    assert warm.tokens[0, :4].tolist() == [FREE] * 4
    expected = FAST.encode(np.concatenate([ROWS, ROWS[1:], ROWS[1:]]))
    assert warm.tokens[0, 4:].tolist() == expected.tolist()
    assert warm.confidence[0, 4:].tolist() == pytest.approx([0.4] * 8)


def test_what_cannot_be_written_in_tokens_is_no_guess():
    short = FastChunkCodec(NORMALIZER, FAST.tokenizer, H * D - 1)
    tokens = RowTokens(short, Canvas((Segment("action", 1, 7, short.vocabulary),)))
    assert tokens.guess(request([], Guess.of_leading(ROWS, np.ones((2, D)), H))) is None
    assert tokens.guess(request([])) is None


@pytest.mark.parametrize(("codec", "needed"), [(BINS, range(3, 7)), (FAST, range(4, 12))])
def test_what_the_first_rows_need(codec, needed):
    tokens = rows_of(codec)
    assert tokens.needed(None) is None
    assert tokens.needed(2).nonzero().flatten().tolist() == list(needed)
    assert not tokens.needed(0).any()


@pytest.mark.parametrize(
    ("codec", "filled", "frozen_steps", "decided"),
    [
        (BINS, [], 0, 4),
        (BINS, [0, 1], 0, 4),  # of the image
        (BINS, [7], 0, 2),
        (BINS, [3, 10], 0, 0),
        (BINS, [10], 1, 3),
        (FAST, [0], 2, 4),
        (FAST, [11], 0, 0),
        (FAST, [11], 2, 2),
    ],
)
def test_rows_are_decided_up_to_the_first_that_needs_a_filled_token(codec, filled, frozen_steps, decided):
    tokens = rows_of(codec)
    mask = np.isin(np.arange(tokens.canvas.length), filled)
    assert tokens.decided_steps(mask, frozen_steps) == decided


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([2, 3, 32, 256]),
    kind=st.sampled_from([UniformBins, UniformIntervals]),
    binary=st.booleans(),
    masked=st.booleans(),
    width=st.floats(1e-4, 10.0),
    low=st.floats(-5.0, 5.0),
)
def test_a_row_of_a_chunk_is_frozen_as_exactly_the_same_actions(seed, size, kind, binary, masked, width, low):
    """Robot and policy mean the same: decoded actions encode to tokens that decode to the same bits."""
    bounds = np.full(3, low), np.full(3, low + width)
    normalizer = Normalizer(*bounds, np.array([True, True, not masked or binary]))
    codec = BinChunkCodec(normalizer, kind(size), H, (2,) if binary else ())
    tokens = RowTokens(codec, Canvas((Segment("action", H, 3, codec.vocabulary),)))
    random = np.random.default_rng(seed)
    actions = codec.decode(random.integers(0, codec.vocabulary, codec.length)).actions

    frozen = tokens.frozen(actions[:2])

    free = torch.from_numpy(random.integers(0, codec.vocabulary, (1, codec.length)))
    again = codec.decode(torch.where(frozen == FREE, free, frozen)[0].numpy()).actions
    assert np.array_equal(again[:2], actions[:2])
