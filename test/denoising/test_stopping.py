"""Stopping commits the rest once nothing changes any more and the network is sure, and not before."""

import pytest
import torch
from oracles import action_canvas, random_network

from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.stopping import StoppingConfig, StoppingDenoiser
from dvla_ros.denoising.threshold import ThresholdConfig, ThresholdDenoiser
from dvla_ros.errors import ConfigurationError

CANVAS = action_canvas(1, 8, 3)
SLOW = {"num_steps": 8, "threshold": 1.0}
"""One token a step, unless it stops."""
STEADY = torch.tensor([[0.8, 0.1, 0.1]] * 8).log().unsqueeze(0)
"""Entropy 0.639 everywhere."""


def run(network, rows=1, **settings):
    return denoise(network, CANVAS, StoppingDenoiser(StoppingConfig(**SLOW, **settings)), seeds=range(rows))


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_the_rest_is_committed_after_so_many_steps_without_a_change(patience):
    result = run(lambda tokens: STEADY, patience=patience, stop_entropy=0.64)

    assert [int(step.committed.sum()) for step in result.trace] == [1] * patience + [8 - patience]
    assert not result.filled.any() and (result.tokens == 0).all()


def test_an_unsure_network_goes_on():
    assert run(lambda tokens: STEADY, stop_entropy=0.63).nfe == 8


def test_only_masked_positions_have_to_be_sure():
    """Held positions answer with log 3 nats, which would be too much in the mean."""

    def network(tokens):
        return torch.where((tokens == CANVAS.mask_token).unsqueeze(-1), STEADY, torch.zeros_like(STEADY))

    assert run(network, stop_entropy=0.64, patience=3).nfe == 4


def test_a_change_of_one_arg_max_starts_the_count_again():
    calls = []

    def changes_once(tokens):
        calls.append(tokens)
        answer = STEADY.clone()
        if len(calls) == 3:
            answer[0, -1] = answer[0, -1].roll(1)
        return answer

    # One token a step; the third and the fourth answer differ from the one before, the fifth does not.
    assert run(changes_once, stop_entropy=0.64, patience=2).nfe == 6


def test_a_sampled_token_is_no_change():
    """Committed tokens need not be the arg-max; what was committed stays what it is."""
    result = run(lambda tokens: STEADY, stop_entropy=0.64, value_temperature=5.0)
    assert result.nfe == 2 and (result.tokens != 0).any()


def test_rows_stop_by_themselves():
    calls = []

    def network(tokens):
        calls.append(tokens)
        return torch.cat([STEADY, STEADY.roll(len(calls) % 3, dims=-1)])

    result = run(network, rows=2, stop_entropy=0.64)

    assert [int(step.committed[0].sum()) for step in result.trace] == [1, 7] + [0] * 6
    assert [int(step.committed[1].sum()) for step in result.trace] == [1] * 8


@pytest.mark.parametrize("seed", range(3))
def test_without_a_bound_it_is_acceptance_decoding(seed):
    shared, network = {"num_steps": 5, "threshold": 0.5}, random_network(3, seed)
    stopping = StoppingDenoiser(StoppingConfig(**shared, stop_entropy=0.0))

    result = denoise(network, CANVAS, stopping, seeds=(0, 1))
    expected = denoise(network, CANVAS, ThresholdDenoiser(ThresholdConfig(**shared)), seeds=(0, 1))

    assert torch.equal(result.tokens, expected.tokens) and result.nfe == expected.nfe


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"stop_entropy": -1.0}, "stop_entropy must be at least"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        StoppingConfig(**settings)
