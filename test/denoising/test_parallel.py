"""One network call decides everything."""

import pytest
import torch
from oracles import action_canvas, conditionals_of, random_network

from dvla_ros.denoising.canvas import FREE, WarmStart
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.parallel import OneShotConfig, OneShotDenoiser
from dvla_ros.errors import ConfigurationError


def test_one_shot_is_the_arg_max_of_one_call_on_the_masked_canvas():
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 7)

    result = denoise(network, canvas, OneShotDenoiser(OneShotConfig()), seeds=(0,))

    best, token = network(torch.full((1, canvas.length), canvas.mask_token)).softmax(-1).max(-1)
    assert result.nfe == 1
    assert torch.equal(result.tokens, token)
    assert torch.allclose(result.confidence, best)


def test_samples_are_right_one_by_one_and_wrong_together():
    joints, weights = torch.tensor([[0, 0], [1, 1], [2, 2]]), torch.tensor([0.5, 0.3, 0.2])
    denoiser = OneShotDenoiser(OneShotConfig(value_temperature=1.0))

    tokens = denoise(conditionals_of(joints, weights, 3), action_canvas(1, 2, 3), denoiser, seeds=range(4000)).tokens

    for position in (0, 1):
        assert torch.allclose(torch.bincount(tokens[:, position], minlength=3) / 4000, weights, atol=0.03)
    agree = (tokens[:, 0] == tokens[:, 1]).float().mean()
    assert abs(agree - (weights**2).sum()) < 0.03  # independent draws agree this often, draws of the joint always


def test_the_surest_guesses_of_a_warm_start_are_seen_and_stay():
    canvas = action_canvas(1, 4, 5)
    network = random_network(5, 0)
    guess = WarmStart(torch.tensor([[3, 2, FREE, FREE]]), torch.tensor([[0.9, 0.1, 0.0, 0.0]]))

    result = denoise(network, canvas, OneShotDenoiser(OneShotConfig()), seeds=(0,), warm_start=guess)

    assert result.tokens[0, 0] == 3
    assert torch.equal(result.tokens[:, 1:], network(torch.tensor([[3, 5, 5, 5]])).argmax(-1)[:, 1:])


@pytest.mark.parametrize("settings", [{"value_temperature": -1.0}, {"warm_keep": 2.0}])
def test_wrong_settings_are_named(settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        OneShotConfig(**settings)
