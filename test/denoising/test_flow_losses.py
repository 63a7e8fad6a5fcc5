"""The losses have the published values, and their minima are what the decoder needs."""

import math

import pytest
import torch
from oracles import seeded

from dvla_ros.denoising.flow_losses import generalised_kl, rate_loss

V = 5
NOISY = torch.tensor([[0, 1, 2, 3], [4, 4, 0, 2]])
TOKENS = torch.tensor([[0, 2, 2, 1], [4, 0, 1, 2]])
WEIGHT = torch.tensor([2.0, 7.5])


def test_the_generalised_kl_equals_a_loop():
    logits = torch.randn(2, 4, V, generator=seeded(0))
    loss = generalised_kl(logits, NOISY, TOKENS, WEIGHT)

    for row in range(2):
        for i in range(4):
            total = sum(math.exp(v) for v in logits[row, i].tolist())
            p = [math.exp(v) / total for v in logits[row, i].tolist()]
            x_t, x_1 = int(NOISY[row, i]), int(TOKENS[row, i])
            inner = p[x_t] - 1 if x_t == x_1 else p[x_t] + math.log(p[x_1])
            assert loss[row, i].item() == pytest.approx(-float(WEIGHT[row]) * inner, rel=1e-5)


def test_the_rate_loss_equals_a_loop():
    rates = torch.rand(2, 4, V, generator=seeded(1)) + 0.1
    loss = rate_loss(rates, NOISY, TOKENS, WEIGHT)

    for row in range(2):
        for i in range(4):
            u = rates[row, i].tolist()
            x_t, x_1 = int(NOISY[row, i]), int(TOKENS[row, i])
            expected = sum(u) - u[x_t]
            if x_t != x_1:
                expected -= float(WEIGHT[row]) * math.log(u[x_1])
            assert loss[row, i].item() == pytest.approx(expected, rel=1e-5)


POSTERIOR = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05])


def expected_loss(loss):
    """The mean of a loss `[B, L]` over x_1 ~ POSTERIOR, given x_t = 0 and w = 3; one row per x_1."""
    tokens = torch.arange(V).unsqueeze(1)
    return (POSTERIOR * loss(torch.zeros_like(tokens), tokens, torch.full((V,), 3.0)).squeeze(1)).sum()


def test_the_generalised_kl_is_least_at_the_posterior():
    logits = POSTERIOR.log().clone().requires_grad_()
    expected_loss(lambda *a: generalised_kl(logits.expand(V, 1, V), *a)).backward()
    assert logits.grad is not None
    assert torch.allclose(logits.grad, torch.zeros(V), atol=1e-6)


def test_the_rate_loss_is_least_at_the_marginal_velocity():
    rates = (3 * POSTERIOR).clone().requires_grad_()
    expected_loss(lambda *a: rate_loss(rates.expand(V, 1, V), *a)).backward()
    assert rates.grad is not None
    assert torch.allclose(rates.grad, torch.zeros(V), atol=1e-6)


def test_both_take_mask_as_a_token_that_is_never_right():
    noisy = torch.full((2, 4), V)
    logits = torch.randn(2, 4, V, generator=seeded(2))
    log_p = torch.log_softmax(logits, -1).gather(-1, TOKENS.unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(generalised_kl(logits, noisy, TOKENS, WEIGHT), -WEIGHT.unsqueeze(1) * log_p)
    assert torch.allclose(
        rate_loss(log_p.exp().unsqueeze(-1).expand(2, 4, V), noisy, TOKENS, WEIGHT),
        V * log_p.exp() - WEIGHT.unsqueeze(1) * log_p,
    )


def test_a_rate_of_0_towards_the_truth_is_a_large_finite_loss():
    loss = rate_loss(torch.zeros(2, 4, V), NOISY, TOKENS, WEIGHT)
    assert torch.isfinite(loss).all()
    assert (loss[NOISY != TOKENS] > 50).all()
