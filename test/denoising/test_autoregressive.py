"""Tokens are settled in the order of the canvas."""

import pytest
import torch
from oracles import action_canvas, conditionals_of, random_network

from dvla_ros.denoising.autoregressive import AutoregressiveConfig, AutoregressiveDenoiser
from dvla_ros.denoising.canvas import FREE
from dvla_ros.denoising.loop import denoise
from dvla_ros.errors import ConfigurationError


def run(network, canvas, *, seeds=(0,), frozen=None, **settings):
    denoiser = AutoregressiveDenoiser(AutoregressiveConfig(**settings))
    return denoise(network, canvas, denoiser, seeds=seeds, frozen_tokens=frozen)


def test_greedy_decoding_is_the_written_out_loop():
    canvas = action_canvas(2, 3, 5)
    network = random_network(5, 3)

    result = run(network, canvas)

    tokens = torch.full((1, 6), canvas.mask_token)
    for position in range(6):
        tokens[0, position] = network(tokens)[0, position].argmax()
    assert torch.equal(result.tokens, tokens)
    assert result.nfe == 6


@pytest.mark.parametrize(("tokens_per_step", "expected"), [(1, [[1], [3], [4]]), (2, [[1, 3], [4]]), (5, [[1, 3, 4]])])
def test_the_leftmost_masked_positions_come_first(tokens_per_step, expected):
    frozen = torch.tensor([[2, FREE, 0, FREE, FREE]])
    result = run(random_network(5, 0), action_canvas(1, 5, 5), frozen=frozen, tokens_per_step=tokens_per_step)
    assert [entry.committed[0].nonzero().flatten().tolist() for entry in result.trace] == expected


def test_samples_have_the_probabilities_of_the_joint():
    joints = torch.tensor([[0, 0, 0], [1, 1, 2], [2, 3, 1], [3, 0, 3]])
    weights = torch.tensor([0.4, 0.3, 0.2, 0.1])

    tokens = run(
        conditionals_of(joints, weights, 4), action_canvas(1, 3, 4), seeds=range(4000), value_temperature=1.0
    ).tokens

    drawn = (tokens.unsqueeze(1) == joints).all(dim=-1)
    assert drawn.any(dim=1).all()
    assert (drawn.float().mean(dim=0) - weights).abs().max() < 0.03


@pytest.mark.parametrize("settings", [{"tokens_per_step": 0}, {"value_temperature": -1.0}, {"warm_keep": 2.0}])
def test_wrong_settings_are_named(settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        AutoregressiveConfig(**settings)
