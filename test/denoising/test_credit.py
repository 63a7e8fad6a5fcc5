"""Credit decoding accepts a token that stays likely before one step alone would."""

import pytest
import torch
from oracles import action_canvas, random_network

from dvla_ros.denoising.credit import CreditConfig, CreditDenoiser
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.state import Scores
from dvla_ros.denoising.threshold import ThresholdConfig, ThresholdDenoiser
from dvla_ros.errors import ConfigurationError

STEADY = torch.tensor([[0.6, 0.2, 0.2]] * 4).log().unsqueeze(0)
"""Four positions that are never surer than 0.6."""


def run(network, canvas, denoiser, seeds=(0,)):
    return denoise(network, canvas, denoiser, seeds=seeds)


def test_credit_is_what_the_formula_says():
    """The likeliest token is 0, 0, then 1."""
    answers = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1]]).log()
    denoiser = CreditDenoiser(CreditConfig(num_steps=3, threshold=1.0, decay=0.5, power=2.0))
    canvas, noise = action_canvas(1, 4, 3), Noise((0,))
    state = denoiser.start(canvas, noise=noise, frozen_tokens=None, warm_start=None, device=torch.device("cpu"))

    for index, answer in enumerate(answers):
        state, _ = denoiser.step(index, state, Scores(answer.expand(1, 4, 3)), noise)

    expected = torch.tensor([0.25 * 0.6**2 + 0.5 * 0.5**2, 0.7**2, 0.0])
    assert torch.allclose(state.credit, expected.expand(1, 4, 3))


def test_a_token_that_stays_likely_is_accepted_when_its_credit_lifts_it_over_the_threshold():
    """p = 0.6: the credits 0.6 and 1.08 make the odds 1.5 * 1.6^0.7 and 1.5 * 2.08^0.7, so 0.676 and 0.715."""
    canvas = action_canvas(1, 4, 3)
    shared = {"num_steps": 4, "threshold": 0.7, "at_least": "one"}

    plain = run(lambda tokens: STEADY, canvas, ThresholdDenoiser(ThresholdConfig(**shared)))
    credited = run(lambda tokens: STEADY, canvas, CreditDenoiser(CreditConfig(**shared)))

    assert [int(step.committed.sum()) for step in plain.trace] == [1, 1, 1, 1]
    assert [int(step.committed.sum()) for step in credited.trace] == [1, 3]
    assert credited.confidence[0].tolist() == pytest.approx([0.676, 0.715, 0.715, 0.715], abs=1e-3)


def test_tokens_that_take_turns_are_not_accepted():
    canvas, calls = action_canvas(1, 4, 3), []

    def flickering(tokens):
        calls.append(tokens)
        return STEADY.roll(len(calls) % 2, dims=-1)

    config = CreditConfig(num_steps=4, threshold=0.7, at_least="one")
    assert run(flickering, canvas, CreditDenoiser(config)).nfe == 4


@pytest.mark.parametrize("seed", range(4))
def test_without_weight_it_is_acceptance_decoding(seed):
    canvas, network, shared = action_canvas(3, 4, 6), random_network(6, seed), {"num_steps": 6, "threshold": 0.5}

    with_credit = run(network, canvas, CreditDenoiser(CreditConfig(**shared, weight=0.0)), (0, 1))
    without = run(network, canvas, ThresholdDenoiser(ThresholdConfig(**shared)), (0, 1))

    assert torch.equal(with_credit.tokens, without.tokens) and with_credit.nfe == without.nfe
    assert torch.equal(with_credit.confidence, without.confidence)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay": 1.5}, "decay must be in 0..1, got 1.5"),
        ({"weight": -1.0}, "weight must be at least 0"),
        ({"power": -1.0}, "power must be at least 0"),
        ({"threshold": 2.0}, "threshold must be in 0..1"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        CreditConfig(**settings)
