"""Chunks of FAST tokens in a fixed number of positions."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dvla_ros.actions.chunk_codec import ChunkCodec
from dvla_ros.actions.fast import FastTokenizer
from dvla_ros.actions.fast_chunk_codec import FastChunkCodec
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.errors import ActionError, ConfigurationError

LOW = np.array([-0.70, -0.58, -0.43, -0.42, -0.47, -1.0, -1.0])
HIGH = np.array([0.68, 0.56, 0.59, 0.43, 0.41, 1.0, 1.0])
NORMALIZER = Normalizer(LOW, HIGH, np.ones(7, dtype=bool), inverse_epsilon=0.0)
EOA = 1024


@pytest.fixture(scope="session")
def codec(calvin) -> FastChunkCodec:
    return FastChunkCodec(NORMALIZER, calvin, length=69)


@pytest.fixture(scope="session")
def physical(sine_chunk) -> np.ndarray:
    return NORMALIZER.unnormalize(sine_chunk)


def filled(ids: list[int], fill: int = EOA, length: int = 69) -> list[int]:
    return ids + [fill] * (length - len(ids))


def test_it_is_a_chunk_codec(codec):
    chunk_codec: ChunkCodec = codec
    shape = chunk_codec.vocabulary, chunk_codec.length, chunk_codec.horizon, chunk_codec.dim
    assert shape == (1025, 69, 10, 7)


def test_a_chunk_is_its_fast_ids_and_eoa_to_the_end(codec, calvin, sine_chunk, physical):
    tokens = codec.encode(physical)
    assert tokens.dtype == np.int64
    assert tokens.tolist() == filled(calvin.encode(sine_chunk))


def test_a_padding_token_of_its_own_follows_one_eoa(codec, calvin, sine_chunk, physical):
    padded = replace(codec, padding="pad")
    assert padded.vocabulary == 1026
    assert padded.encode(physical).tolist() == filled([*calvin.encode(sine_chunk), EOA], fill=1025)
    assert np.array_equal(padded.decode(padded.encode(physical)).actions, codec.decode(codec.encode(physical)).actions)


@settings(max_examples=30)
@given(hnp.arrays(np.float64, (10, 7), elements=st.floats(0, 1)))
def test_the_round_trip_is_off_by_no_more_than_fast_loses(codec, share):
    roomy = replace(codec, length=140)
    actions = LOW + share * (HIGH - LOW)
    decoded = roomy.decode(roomy.encode(actions))
    assert (decoded.actions.dtype, decoded.malformed, decoded.reason, decoded.usable) == (np.float32, False, "", True)
    assert (np.abs(decoded.actions - actions) <= (HIGH - LOW) / 2 * math.sqrt(10) / 100 + 1e-6).all()


def test_leading_axes_are_kept(codec, physical):
    batch = np.stack([physical, physical * 0, physical * 0.5])
    tokens = codec.encode(np.stack([batch, batch]))
    assert tokens.shape == (2, 3, 69)
    assert np.array_equal(tokens[1, 2], codec.encode(physical * 0.5))
    assert codec.encode(np.zeros((0, 10, 7))).shape == (0, 69)


def test_the_first_eoa_ends_the_actions_whatever_follows(codec, physical):
    tokens = codec.encode(physical)
    noisy = tokens.copy()
    noisy[46:] = np.arange(23)
    assert np.array_equal(codec.decode(noisy).actions, codec.decode(tokens).actions)
    assert not codec.decode(noisy).malformed


def test_without_eoa_all_positions_count(codec, calvin, sine_chunk, physical):
    exact = replace(codec, length=45)
    tokens = exact.encode(physical)
    assert tokens.tolist() == calvin.encode(sine_chunk)
    assert not exact.decode(tokens).malformed


def test_positions_too_few_for_a_chunk_are_refused_by_default(codec, physical):
    with pytest.raises(ActionError, match="takes 45 FAST ids, there are 44"):
        replace(codec, length=44).encode(physical)


def test_a_chunk_too_long_is_cut_off_when_chosen_and_then_decodes_as_malformed(codec, calvin, sine_chunk, physical):
    short = replace(codec, length=30, overflow="truncate")
    tokens = short.encode(physical)
    assert tokens.tolist() == calvin.encode(sine_chunk)[:30]
    decoded = short.decode(tokens)
    assert decoded.malformed and decoded.usable
    assert "instead of 70" in decoded.reason


def test_the_lengths_to_choose_the_positions_by(codec, physical):
    roomy = replace(codec, length=1)
    assert roomy.fast_lengths(np.stack([physical, NORMALIZER.unnormalize(np.zeros((10, 7)))])).tolist() == [45, 17]
    assert roomy.fast_lengths(physical) == 45


def test_an_end_at_once_is_no_chunk(codec):
    decoded = codec.decode([EOA] * 69)
    assert decoded.malformed and np.isnan(decoded.actions).all()
    assert decoded.actions.shape == (10, 7)
    assert decoded.reason == "0 coefficients instead of 70"


def test_an_exact_number_can_be_asked_for(codec, physical):
    strict = replace(codec, repair=False)
    assert not strict.decode(strict.encode(physical)).malformed
    assert not strict.decode(filled(codec.encode(physical)[:20].tolist())).usable


def test_padding_without_an_end_is_flagged(codec, calvin, sine_chunk, physical):
    padded = replace(codec, padding="pad")
    decoded = padded.decode(filled(calvin.encode(sine_chunk), fill=1025))
    assert (decoded.malformed, decoded.usable) == (True, True)
    assert decoded.reason == "padding without an end of actions"


def scaled_chunk(codec: FastChunkCodec, scale: float) -> list[int]:
    """Tokens of a chunk whose normalised values reach `scale`, which no encoder of data in -1..1 writes."""
    chunk = np.zeros((10, 7))
    chunk[::2, 0], chunk[1::2, 0] = scale, -scale
    return filled(codec.tokenizer.encode(chunk))


def test_a_small_overshoot_is_clipped_to_the_data_range(codec):
    tokens = scaled_chunk(codec, 1.2)
    assert codec.decode(tokens).actions[:, 0] == pytest.approx([0.68, -0.70] * 5, abs=1e-6)
    released = replace(codec, clip=False).decode(tokens).actions[:, 0]
    assert released.max() == pytest.approx(0.69 * 1.2 - 0.01, abs=0.02)


def test_a_wild_overshoot_is_no_chunk(codec):
    decoded = codec.decode(scaled_chunk(codec, 2.4))
    assert decoded.malformed and np.isnan(decoded.actions).all()
    assert "normalised action of 2.4" in decoded.reason


def test_a_column_that_passes_through_is_neither_clipped_nor_wild(calvin):
    mask = np.array([True] * 6 + [False])
    codec = FastChunkCodec(Normalizer(LOW, HIGH, mask), calvin, length=69)
    chunk = np.zeros((10, 7))
    chunk[:, 6] = 2.5
    assert codec.decode(codec.encode(chunk)).actions[:, 6] == pytest.approx(chunk[:, 6], abs=0.03)


@settings(max_examples=40)
@given(hnp.arrays(np.int64, (69,), elements=st.integers(0, 1024)))
def test_any_tokens_decode_to_the_data_range_or_to_nan(codec, tokens):
    decoded = codec.decode(tokens)
    if decoded.usable:
        assert ((decoded.actions >= LOW - 1e-6) & (decoded.actions <= HIGH + 1e-6)).all()
    else:
        assert decoded.malformed and np.isnan(decoded.actions).all()


def test_a_tokenizer_without_merges_fills_every_position(windows):
    tokenizer = FastTokenizer.fit(windows, vocabulary_size=None, scale=10)
    codec = FastChunkCodec(Normalizer(LOW[:3], HIGH[:3], np.ones(3, dtype=bool)), tokenizer, length=24)
    tokens = codec.encode(codec.normalizer.unnormalize(windows))
    assert codec.vocabulary == 58
    assert (tokens < codec.eoa).all()


def test_a_mask_token_is_refused(codec):
    with pytest.raises(ActionError, match=r"0\.\.1024"):
        codec.decode([codec.vocabulary] * 69)


@pytest.mark.parametrize("length", [68, 70])
def test_another_number_of_tokens_is_refused(codec, length):
    with pytest.raises(ActionError, match="69 tokens"):
        codec.decode([EOA] * length)


@pytest.mark.parametrize("shape", [(10, 6), (8, 7), (7,)])
def test_chunks_of_another_shape_are_refused(codec, shape):
    with pytest.raises(ActionError, match=r"\[\.\.\., 10, 7\]"):
        codec.encode(np.zeros(shape))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 0}, "got 0"),
        ({"padding": "zero"}, "padding .*'zero'"),
        ({"overflow": "wrap"}, "overflow .*'wrap'"),
        ({"normalizer": Normalizer(LOW[:3], HIGH[:3], np.ones(3, dtype=bool))}, "3 columns, the tokenizer 7"),
    ],
)
def test_settings_that_cannot_be_are_refused(codec, change, message):
    with pytest.raises(ConfigurationError, match=message):
        replace(codec, **change)
