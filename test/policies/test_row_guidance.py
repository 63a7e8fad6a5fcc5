"""Guidance leads FAST tokens to chunks through given rows, and leaves everything else to the network."""

import numpy as np
import pytest
import torch

from dvla_ros.actions.fast import FastTokenizer
from dvla_ros.actions.fast_chunk_codec import FastChunkCodec
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.registry import make_decoder
from dvla_ros.policies.row_guidance import RowGuidance, coefficient_values, has_coefficients

H, D = 8, 3
NORMALIZER = Normalizer(np.full(D, -1.0), np.full(D, 1.0), np.ones(D, bool))
SAMPLES = np.random.default_rng(0).uniform(-1, 1, (50, H, D))
CODEC = FastChunkCodec(NORMALIZER, FastTokenizer.fit(SAMPLES, vocabulary_size=None, scale=20.0), H * D)
CANVAS = Canvas((Segment("action", H, D, CODEC.vocabulary, reserved=1),))
POSITIONS = slice(0, H * D)
STEADY = np.linspace([-0.5, 0.2, 0.0], [0.3, 0.6, -0.4], H)
"""A chunk that moves evenly."""


def around(chunk, width=0.3):
    """A network that expects the coefficients of `chunk`, with this standard deviation."""
    values = torch.from_numpy(coefficient_values(CODEC))
    expected = values[CODEC.encode(chunk)]
    logits = -0.5 * ((values - expected.unsqueeze(-1)) / width) ** 2
    end = torch.full((H * D, 1), -5.0, dtype=torch.float64)
    answer = torch.cat([logits, end], dim=-1).unsqueeze(0).float()
    return lambda tokens: answer.expand(len(tokens), -1, -1)


def decoded(network, decoder, **settings):
    denoiser = make_decoder({"decoder": decoder, **settings})
    return CODEC.decode(denoise(network, CANVAS, denoiser, seeds=(0,)).tokens[0].numpy()).actions


def guidance(final=True):
    return RowGuidance(CODEC, POSITIONS, final=final, device=torch.device("cpu"))


@pytest.mark.parametrize("steps", [1, 3, 8])
@pytest.mark.parametrize(("decoder", "final"), [("masked", True), ("joint", True), ("flow", False)])
def test_the_chunk_passes_through_the_rows_that_are_given(decoder, final, steps):
    given = STEADY[:steps] + 0.3
    free = np.abs(decoded(around(STEADY), decoder)[:steps] - given).mean()

    guided = np.abs(decoded(guidance(final).through(given, around(STEADY)), decoder)[:steps] - given).mean()

    assert guided < 0.5 * free


def test_with_all_but_one_coefficient_held_the_last_is_what_the_rows_leave_open():
    tokens = torch.from_numpy(CODEC.encode(STEADY)).unsqueeze(0)
    open_position = 2 * D + 1
    tokens[0, open_position] = CANVAS.mask_token
    flat = torch.zeros(1, H * D, CODEC.vocabulary)

    answer = guidance().through(STEADY[:5], lambda _: flat)(tokens)

    assert int(answer.logits[0, open_position, :-1].argmax()) == CODEC.encode(STEADY)[open_position]


def test_a_row_that_the_network_expects_changes_little():
    network, mask = around(STEADY, width=0.1), torch.full((1, H * D), CANVAS.mask_token)
    before = torch.softmax(network(mask), dim=-1)
    after = torch.softmax(guidance().through(STEADY[:1], network)(mask).logits, dim=-1)
    assert (before.argmax(-1) == after.argmax(-1)).float().mean() > 0.9


def test_ids_that_are_no_coefficient_keep_their_probability():
    network, mask = around(STEADY), torch.full((1, H * D), CANVAS.mask_token)
    before = torch.softmax(network(mask), dim=-1)[..., -1]
    after = torch.softmax(guidance().through(STEADY[:3] + 0.5, network)(mask).logits, dim=-1)[..., -1]
    assert torch.allclose(before, after, atol=1e-6)


def test_positions_of_other_segments_are_left_alone():
    logits = torch.randn(1, 4 + H * D, CODEC.vocabulary)
    shifted = RowGuidance(CODEC, slice(4, 4 + H * D), final=True, device=torch.device("cpu"))
    tokens = torch.full((1, 4 + H * D), CANVAS.mask_token)
    answer = shifted.through(STEADY[:2], lambda _: logits)(tokens).logits
    assert torch.equal(answer[:, :4], logits[:, :4])
    assert not torch.equal(answer[:, 4:], logits[:, 4:])


def test_tokens_stand_for_the_coefficients_that_they_decode_to():
    values = coefficient_values(CODEC)
    assert has_coefficients(CODEC)
    for token in (0, 20, len(values) - 1):
        chunk = CODEC.tokenizer.decode([token] + [int(np.argmin(np.abs(values)))] * (H * D - 1)).actions
        assert chunk[0, 0] == pytest.approx(values[token] / np.sqrt(H))


def test_merged_tokens_stand_for_no_coefficient():
    steady = np.repeat(SAMPLES[:, :1], H, axis=1)
    merged = FastTokenizer.fit(steady, vocabulary_size=200, scale=20.0)
    assert not has_coefficients(FastChunkCodec(NORMALIZER, merged, H * D))
