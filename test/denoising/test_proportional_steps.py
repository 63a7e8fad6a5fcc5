"""With d of H rows given the number of denoising steps falls in proportion, for every decoder that has steps."""

from dataclasses import replace

import pytest
import torch
from oracles import action_canvas, random_network

from dvla_ros.denoising.canvas import FREE, Canvas, Segment
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.registry import DECODERS, make_decoder

ROWS, COLUMNS, VOCABULARY = 8, 7, 16
CANVAS = action_canvas(ROWS, COLUMNS, VOCABULARY)

CASES = {
    "masked": (12, {"num_steps": 12}),
    "joint": (24, {"num_steps": 24}),
    "hierarchical": (16, {}),
    "flow": (16, {}),
    "threshold": (12, {"num_steps": 12, "threshold": 1.0}),
    "credit": (12, {"num_steps": 12, "threshold": 1.0}),
    "stopping": (12, {"num_steps": 12, "threshold": 1.0}),
    "blockwise": (24, {"add_at": 1.0, "activate_at": 1.0, "threshold": 1.0}),
    "autoregressive": (56, {}),
    "one_shot": (1, {}),
}
"""Decoder: steps T for an empty canvas, and settings with which a network that is never sure makes it take them all."""


def test_no_decoder_but_jacobi_is_left_out():
    """Jacobi decoding ends when nothing changes; its number of steps is only a guard against never ending."""
    assert set(DECODERS) - set(CASES) == {"jacobi"}


@pytest.mark.parametrize("given_rows", range(ROWS + 1))
@pytest.mark.parametrize("decoder", CASES)
def test_steps_fall_in_proportion_to_what_is_given(decoder, given_rows):
    total, settings = CASES[decoder]
    frozen = torch.full((1, CANVAS.length), FREE)
    frozen[0, : given_rows * COLUMNS] = 3

    result = denoise(
        random_network(VOCABULARY, 0),
        CANVAS,
        make_decoder({"decoder": decoder, **settings}),
        seeds=(0,),
        frozen_tokens=frozen,
    )

    unknown = (ROWS - given_rows) * COLUMNS
    assert result.nfe == (max(1, total * unknown // CANVAS.length) if unknown else 0)


@pytest.mark.parametrize("determined_rows", range(ROWS + 1))
@pytest.mark.parametrize("decoder", ["masked", "joint", "flow", "threshold", "credit", "stopping"])
def test_steps_fall_as_much_with_what_is_known_without_being_a_token(decoder, determined_rows):
    """The unknown positions are still all decided."""
    total, settings = CASES[decoder]
    canvas = replace(CANVAS, determined=determined_rows * COLUMNS)

    result = denoise(random_network(VOCABULARY, 0), canvas, make_decoder({"decoder": decoder, **settings}), seeds=(0,))

    assert result.nfe == max(1, total * (ROWS - determined_rows) // ROWS)
    assert (result.tokens < canvas.mask_token).all() and not result.filled.any()


def test_in_two_stages_the_actions_alone_take_fewer_steps():
    canvas = Canvas((Segment("image", 1, 16, VOCABULARY), Segment("action", 8, 2, VOCABULARY)), determined=8)
    decoder = make_decoder({"decoder": "joint", "stages": "two", "image_steps": 8, "action_steps": 8})
    assert denoise(random_network(VOCABULARY, 0), canvas, decoder, seeds=(0,)).nfe == 8 + 4


@pytest.mark.parametrize(("decoder", "total"), [("masked", 12), ("joint", 24), ("flow", 16), ("threshold", 12)])
def test_the_proportion_can_be_switched_off(decoder, total):
    frozen = torch.full((1, CANVAS.length), FREE)
    frozen[0, : 3 * COLUMNS] = 3
    _, settings = CASES[decoder]
    chosen = make_decoder({"decoder": decoder, **settings, "adaptive_steps": False})
    assert denoise(random_network(VOCABULARY, 0), CANVAS, chosen, seeds=(0,), frozen_tokens=frozen).nfe == total
