"""The action head's loss, and that a head trained with it draws modes, not their mean."""

import pytest
import torch

from dvla_ros.models.ddim import DdimConfig, sample_chunk
from dvla_ros.models.noise_prediction import noise_prediction_loss
from dvla_ros.models.unet1d import ConditionalUnet1D, Unet1DConfig

ROWS, HORIZON, DIMS = 4, 8, 3
CONDITION = torch.zeros(ROWS, 2)
NO_PADDING = torch.zeros(ROWS, HORIZON, dtype=torch.bool)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def actions():
    return 2 * torch.rand(ROWS, HORIZON, DIMS, generator=seeded(1)) - 1


class Recorder:
    """Answers `offset` everywhere and remembers what it was shown."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def __call__(self, noisy, timestep, condition):
        self.noisy, self.timestep = noisy, timestep
        return torch.full_like(noisy, self.offset)


def test_the_loss_is_the_squared_error_of_the_noise_at_a_random_level(actions):
    head = Recorder(0.5)
    loss = noise_prediction_loss(head, CONDITION, actions, NO_PADDING, seeded())
    level = DdimConfig().scheduler().alphas_cumprod[head.timestep].reshape(-1, 1, 1)
    noise = (head.noisy - level.sqrt() * actions) / (1 - level).sqrt()
    assert loss.item() == pytest.approx((0.5 - noise).square().mean().item(), rel=1e-3)
    assert loss.dtype == torch.float32


def test_levels_and_noise_come_from_the_whole_range():
    many = 4000
    head = Recorder()
    padding = torch.zeros(many, 2, dtype=torch.bool)
    loss = noise_prediction_loss(head, torch.zeros(many, 1), torch.zeros(many, 2, 2), padding, seeded())
    assert set(head.timestep.tolist()) == set(range(100))
    assert loss.item() == pytest.approx(1.0, abs=0.05)


def test_padded_rows_cost_nothing(actions):
    padding = NO_PADDING.clone()
    padding[:, 5:] = True
    whole = noise_prediction_loss(Recorder(3.0), CONDITION, actions, NO_PADDING, seeded())
    as_released = noise_prediction_loss(Recorder(3.0), CONDITION, actions, padding, seeded())
    valid_only = noise_prediction_loss(Recorder(3.0), CONDITION, actions, padding, seeded(), count_padding=False)
    rest = noise_prediction_loss(Recorder(3.0), CONDITION, actions, ~padding, seeded())
    assert (as_released + rest).item() == pytest.approx(whole.item(), rel=1e-5)
    assert valid_only.item() == pytest.approx(as_released.item() * HORIZON / 5, rel=1e-5)


def test_padding_alone_is_no_loss_and_not_nan(actions):
    loss = noise_prediction_loss(Recorder(1.0), CONDITION, actions, ~NO_PADDING, seeded(), count_padding=False)
    assert loss.item() == 0.0


def test_the_same_generator_gives_the_same_loss(actions):
    first, again, other = (
        noise_prediction_loss(Recorder(), CONDITION, actions, NO_PADDING, seeded(s)) for s in (0, 0, 1)
    )
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
    head, steps, generator = ConditionalUnet1D(sizes), 250, seeded()
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    nothing, padding = torch.zeros(len(chunks), 4), torch.zeros(len(chunks), HORIZON, dtype=torch.bool)
    for _ in range(steps):
        optimizer.zero_grad()
        noise_prediction_loss(head, head.encode_condition(nothing), chunks, padding, generator).backward()
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
