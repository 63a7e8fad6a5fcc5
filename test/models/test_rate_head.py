"""Replacement rates: what they are made of, and that they are never negative."""

import math

import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.rate_head import RateHead

WIDTH, VOCABULARY = 5, 11


def head(form: str) -> RateHead:
    torch.manual_seed(0)
    return RateHead(WIDTH, VOCABULARY, form)


@pytest.fixture
def hidden():
    return 3 * torch.randn(2, 4, WIDTH, generator=torch.Generator().manual_seed(1))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize("form", ["factored", "per_token"])
def test_rates_are_non_negative_single_precision_numbers_for_every_token(form, hidden):
    rates = head(form).bfloat16()((100 * hidden).bfloat16())
    assert rates.shape == (2, 4, VOCABULARY)
    assert rates.dtype == torch.float32
    assert torch.isfinite(rates).all()
    assert (rates >= 0).all()


@torch.no_grad()
def test_a_factored_rate_is_that_of_the_position_spread_over_the_tokens(hidden):
    rates = head("factored")
    weights = rates.state_dict()
    scores = [
        float(row @ hidden[1, 2] + b) for row, b in zip(weights["token.weight"], weights["token.bias"], strict=True)
    ]
    total = softplus(float(weights["position.weight"][0] @ hidden[1, 2] + weights["position.bias"][0]))
    normaliser = sum(math.exp(score) for score in scores)
    expected = [total * math.exp(score) / normaliser for score in scores]
    assert rates(hidden)[1, 2].tolist() == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_a_rate_per_token_is_the_softplus_of_its_score(hidden):
    rates = head("per_token")
    weights = rates.state_dict()
    scores = (weights["token.weight"] @ hidden[0, 3] + weights["token.bias"]).tolist()
    expected = [softplus(score) for score in scores]
    assert rates(hidden)[0, 3].tolist() == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_how_fast_a_fresh_factored_head_jumps_does_not_depend_on_the_vocabulary():
    hidden = torch.zeros(1, 1, WIDTH)
    for vocabulary in (10, 1000):
        rates = RateHead(WIDTH, vocabulary)
        rates.position.bias.zero_()
        assert rates(hidden).sum().item() == pytest.approx(math.log(2), rel=1e-4)


@pytest.mark.parametrize("form", ["factored", "per_token"])
def test_gradients_reach_every_parameter(form, hidden):
    rates = head(form)
    rates(hidden).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in rates.parameters())


def test_an_unknown_form_is_refused():
    with pytest.raises(ConfigurationError, match="got 'exponential'"):
        RateHead(WIDTH, VOCABULARY, "exponential")
