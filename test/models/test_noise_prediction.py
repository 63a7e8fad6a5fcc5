"""The action head's loss, and that a head trained with it draws modes, not their mean."""

import pytest
import torch

from dvla_ros.denoising.noise import Noise
from dvla_ros.models.ddim import DdimConfig, sample_chunk
from dvla_ros.models.noise_prediction import noise_prediction_errors
from dvla_ros.models.unet1d import ConditionalUnet1D, Unet1DConfig

ROWS, HORIZON, DIMS = 4, 8, 3
CONDITION = torch.zeros(ROWS, 2)


def noise(rows, seed=0):
    return Noise([1000 * seed + row for row in range(rows)])


@pytest.fixture
def actions():
    return 2 * torch.rand(ROWS, HORIZON, DIMS, generator=torch.Generator().manual_seed(1)) - 1


class Recorder:
    """Answers `offset` everywhere and remembers what it was shown."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def __call__(self, noisy, timestep, condition):
        self.noisy, self.timestep = noisy, timestep
        return torch.full_like(noisy, self.offset)


def test_the_loss_is_the_squared_error_of_the_noise_at_a_random_level(actions):
    head = Recorder(0.5)
    errors = noise_prediction_errors(head, CONDITION, actions, noise(ROWS))
    level = DdimConfig().scheduler().alphas_cumprod[head.timestep].reshape(-1, 1, 1)
    added = (head.noisy - level.sqrt() * actions) / (1 - level).sqrt()
    torch.testing.assert_close(errors, (0.5 - added).square(), rtol=1e-3, atol=1e-4)
    assert errors.dtype == torch.float32


def test_levels_and_noise_come_from_the_whole_range():
    many = 4000
    head = Recorder()
    errors = noise_prediction_errors(head, torch.zeros(many, 1), torch.zeros(many, 2, 2), noise(many))
    assert set(head.timestep.tolist()) == set(range(100))
    assert errors.mean().item() == pytest.approx(1.0, abs=0.05)


def test_the_same_noise_gives_the_same_errors(actions):
    first, again, other = (noise_prediction_errors(Recorder(), CONDITION, actions, noise(ROWS, s)) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


RAMP = torch.linspace(0.5, 0.9, HORIZON).unsqueeze(-1)
SAMPLES = 64


@pytest.fixture(scope="module")
def two_minded():
    """A small U-Net that has seen four times a chunk and four times its opposite, and its condition."""
    torch.manual_seed(0)
    chunks = torch.stack([RAMP] * 4 + [-RAMP] * 4).repeat(4, 1, 1)
    sizes = Unet1DConfig(action_dim=1, state_dim=0, condition_width=4, down_dims=(16, 32), step_width=32)
    head, steps = ConditionalUnet1D(sizes), 250
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    nothing = torch.zeros(len(chunks), 4)
    for step in range(steps):
        optimizer.zero_grad()
        noise_prediction_errors(
            head, head.encode_condition(nothing), chunks, noise(len(chunks), step)
        ).mean().backward()
        optimizer.step()
        schedule.step()
    return head, head.encode_condition(torch.zeros(SAMPLES, 4)).detach()


def far_from(actions, mode):
    return (actions - mode).abs().amax(dim=(1, 2))


def test_a_trained_head_draws_both_modes_and_not_their_mean(two_minded):
    head, condition = two_minded
    actions = sample_chunk(head, condition, (HORIZON, 1), range(SAMPLES)).actions
    up, down = far_from(actions, RAMP) < 0.25, far_from(actions, -RAMP) < 0.25
    assert (up | down).sum() >= 0.75 * SAMPLES
    assert up.sum() >= SAMPLES / 4
    assert down.sum() >= SAMPLES / 4


@pytest.mark.parametrize("mode", [RAMP, -RAMP], ids=["up", "down"])
def test_with_resampling_frozen_rows_decide_which_mode_is_drawn(two_minded, mode):
    head, condition = two_minded
    frozen, config = mode[:4].expand(SAMPLES, 4, 1), DdimConfig(resamplings=5)
    actions = sample_chunk(head, condition, (HORIZON, 1), range(SAMPLES), frozen=frozen, config=config).actions
    assert (far_from(actions, mode) < 0.25).sum() >= 0.85 * SAMPLES
