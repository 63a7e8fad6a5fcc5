"""The mixture path does what Meta's `flow_matching` does (CC BY-NC: used here as an oracle only, never shipped)."""

import pytest
import torch
from flow_matching.loss import MixturePathGeneralizedKL
from flow_matching.path import MixtureDiscreteProbPath
from flow_matching.path.scheduler import PolynomialConvexScheduler
from flow_matching.solver import MixtureDiscreteEulerSolver, discrete_solver
from flow_matching.utils import ModelWrapper
from oracles import action_canvas, inverted, random_network, seeded

from dvla_ros.denoising.flow import FlowConfig, FlowDenoiser
from dvla_ros.denoising.flow_losses import generalised_kl
from dvla_ros.denoising.flow_paths import MixturePath
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.noise import Noise

SEEDS = (11, 12, 13)
VOCABULARY = 9


class Posterior(ModelWrapper):
    def forward(self, x, t, **extras):
        return torch.softmax(self.model(x), dim=-1)


def solver_of(network, power):
    path = MixtureDiscreteProbPath(PolynomialConvexScheduler(n=power))
    return MixtureDiscreteEulerSolver(Posterior(network), path, vocabulary_size=VOCABULARY)


class SharedDraws:
    """Hands the reference the numbers that our decoder draws, step by step."""

    def __init__(self, length):
        self.noise = Noise(SEEDS)
        self.length = length
        self.step = -1

    def categorical(self, p):
        if p.ndim != 3:  # new tokens of the positions that jump; certain, as only x_1 has a rate
            assert ((p > 0).sum(dim=-1) == 1).all()
            return p.argmax(dim=-1)
        self.step += 1
        uniform = self.noise.uniform(self.length, step=self.step, draw=0).tolist()
        rows = zip(p.tolist(), uniform, strict=True)
        return torch.tensor([list(map(inverted, row, numbers)) for row, numbers in rows])

    def rand(self, size, device):
        assert tuple(size) == (len(SEEDS), self.length)
        return self.noise.uniform(self.length, step=self.step, draw=1)


@pytest.mark.parametrize("num_steps", [2, 16, 50])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_every_step_equals_the_reference_solver_with_the_same_draws(power, num_steps, monkeypatch):
    canvas = action_canvas(4, 3, VOCABULARY)
    network = random_network(VOCABULARY, 5)
    config = FlowConfig(fine_steps=num_steps, validate_steps=0, path="mixture", power=power)
    seen = []

    result = denoise(
        lambda tokens: (seen.append(tokens), network(tokens))[1], canvas, FlowDenoiser(config), seeds=SEEDS
    )

    draws = SharedDraws(canvas.length)
    with monkeypatch.context() as patch:
        patch.setattr(discrete_solver, "categorical", draws.categorical)
        patch.setattr(torch, "rand", draws.rand)
        grid = torch.linspace(0, 1, num_steps + 1)
        expected = solver_of(network, power).sample(
            seen[0].clone(), step_size=None, time_grid=grid, return_intermediates=True
        )
    ours = torch.stack([seen[0], *(entry.tokens for entry in result.trace)])
    assert len(expected) == num_steps + 1
    assert torch.equal(ours, expected)
    assert not torch.equal(ours[0], ours[-1])


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_one_step_has_the_reference_solvers_distribution_with_independent_draws(power):
    """From t = 0.25 to 0.5, with an uncertain network; 40 000 chains each."""
    posterior = torch.tensor([0.05, 0.4, 0.1, 0.05, 0.2, 0.05, 0.05, 0.05, 0.05])
    canvas = action_canvas(4000, 1, VOCABULARY)
    config = FlowConfig(fine_steps=4, validate_steps=0, path="mixture", power=power)
    denoiser = FlowDenoiser(config)
    noise = Noise(range(10))
    state = denoiser.start(canvas, noise=noise, frozen_tokens=None, warm_start=None, device=torch.device("cpu"))
    logits = posterior.log().expand(10, 4000, VOCABULARY)

    after, _ = denoiser.step(1, state, type("Answer", (), {"logits": logits, "rates": None}), noise)
    torch.manual_seed(0)
    grid = torch.tensor([0.25, 0.5, 1.0])
    steps = solver_of(lambda x: logits, power).sample(
        state.tokens.clone(), step_size=None, time_grid=grid, return_intermediates=True
    )

    assert torch.allclose(transitions(state.tokens, after.tokens), transitions(state.tokens, steps[1]), atol=0.03)


def transitions(before, after):
    """Share of each new token given the old one, `[V, V]`."""
    counts = torch.bincount((before * VOCABULARY + after).flatten(), minlength=VOCABULARY**2)
    table = counts.reshape(VOCABULARY, VOCABULARY).float()
    return table / table.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_the_generalised_kl_equals_the_reference_loss(power):
    draw = seeded(1)
    tokens, noisy = (torch.randint(0, VOCABULARY, (6, 8), generator=draw) for _ in range(2))
    noisy[:, :4] = tokens[:, :4]
    logits = torch.randn(6, 8, VOCABULARY, generator=draw)
    time = torch.linspace(0.05, 0.95, 6)

    ours = generalised_kl(logits, noisy, tokens, MixturePath(VOCABULARY, power=power).hazard(time))
    reference = MixturePathGeneralizedKL(MixtureDiscreteProbPath(PolynomialConvexScheduler(n=power)), reduction="none")

    assert torch.allclose(ours, reference(logits, tokens, noisy, time), rtol=1e-4, atol=1e-5)
