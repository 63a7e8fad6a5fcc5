"""DDIM: the published formula step by step, in-painting, deadlines, and one seed per row."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from dvla_ros.denoising.noise import Noise
from dvla_ros.errors import ActionError, ConfigurationError
from dvla_ros.models.ddim import DdimConfig, gaussian, sample_chunk

ROWS, HORIZON, DIMS = 3, 8, 4
SHAPE = (HORIZON, DIMS)
SEEDS = (11, 12, 13)
CONDITION = torch.randn(ROWS, 5, generator=torch.Generator().manual_seed(0))


def alpha_bar(timestep: int, train_steps: int = 100) -> float:
    """ᾱ of the capped cosine schedule in closed form: the product of 1 - β telescopes; the cap is met at the end."""

    def level(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    if timestep < 0:
        return 1.0
    if timestep == train_steps - 1:
        return alpha_bar(timestep - 1) * 0.001
    return level((timestep + 1) / train_steps) / level(0)


class RandomHead:
    """Noise that depends on the noisy chunk, the step and the condition; remembers what it was shown."""

    def __init__(self, gain: float = 1.0) -> None:
        draw = torch.Generator().manual_seed(1)
        self.mix = torch.randn(HORIZON, HORIZON, generator=draw) / HORIZON**0.5
        self.gain = gain
        self.shown: list[tuple[torch.Tensor, list[int]]] = []

    def __call__(self, noisy, timestep, condition):
        self.shown.append((noisy, timestep.tolist()))
        told = condition.sum(dim=1).reshape(-1, 1, 1) + timestep.reshape(-1, 1, 1) / 50
        return self.gain * torch.tanh(torch.einsum("hk,bkd->bhd", self.mix.to(noisy), noisy) + told)


class Clairvoyant:
    """The exact noise, for chunks that are known."""

    def __init__(self, chunks):
        self.chunks = chunks

    def __call__(self, noisy, timestep, condition):
        level = torch.tensor([alpha_bar(t) for t in timestep.tolist()]).reshape(-1, 1, 1)
        return (noisy - level.sqrt() * self.chunks) / (1 - level).sqrt()


def start(seeds=SEEDS):
    return gaussian(Noise(seeds), HORIZON, DIMS, step=-1)


def test_noise_levels_are_the_published_ones():
    levels = DdimConfig().scheduler().alphas_cumprod
    assert levels.dtype == torch.float32
    assert levels.tolist() == pytest.approx([alpha_bar(t) for t in range(100)], rel=1e-4)


def test_ten_steps_of_a_hundred_are_ninety_to_zero():
    head = RandomHead()
    result = sample_chunk(head, CONDITION, SHAPE, SEEDS)
    assert [steps for _, steps in head.shown] == [[t] * ROWS for t in range(90, -1, -10)]
    assert result.nfe == 10
    assert result.complete


def test_every_step_is_the_published_formula():
    result = sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS, keep_estimates=True)
    head, x = RandomHead(), start()
    for estimate, (now, after) in zip(result.estimates, pairwise([*range(90, -1, -10), -10]), strict=True):
        epsilon = head(x, torch.full((ROWS,), now), CONDITION)
        clean = ((x - math.sqrt(1 - alpha_bar(now)) * epsilon) / math.sqrt(alpha_bar(now))).clip(-1, 1)
        assert torch.allclose(estimate, clean, atol=1e-4)
        x = math.sqrt(alpha_bar(after)) * clean + math.sqrt(1 - alpha_bar(after)) * epsilon
    assert torch.allclose(result.actions, x, atol=1e-4)


def test_every_step_is_that_of_diffusers():
    ours, theirs = RandomHead(), RandomHead()
    result = sample_chunk(ours, CONDITION, SHAPE, SEEDS)
    scheduler = DDIMScheduler(100, beta_schedule="squaredcos_cap_v2")  # the rest as diffusers has it
    scheduler.set_timesteps(10)
    x = start()
    for (noisy, _), timestep in zip(ours.shown, scheduler.timesteps, strict=True):
        assert torch.allclose(noisy, x, atol=1e-6)
        x = scheduler.step(theirs(x, timestep.repeat(ROWS), CONDITION), timestep, x).prev_sample
    assert torch.allclose(result.actions, x, atol=1e-6)


@pytest.mark.parametrize(("clip", "largest"), [(True, 1.0), (False, 2.0)])
def test_the_chunk_stays_in_the_normalised_range_if_clipped(clip, largest):
    actions = sample_chunk(RandomHead(5.0), CONDITION, SHAPE, SEEDS, config=DdimConfig(clip_sample=clip)).actions
    assert (actions.abs().max() <= 1.0) == clip
    assert actions.abs().max() >= largest


@pytest.mark.parametrize("steps", [1, 3, 10, 100])
def test_exact_noise_leads_to_the_exact_chunk(steps):
    chunks = 2 * torch.rand(ROWS, *SHAPE, generator=torch.Generator().manual_seed(3)) - 1
    config = DdimConfig(inference_steps=steps)
    result = sample_chunk(Clairvoyant(chunks), CONDITION, SHAPE, SEEDS, config=config)
    assert torch.allclose(result.actions, chunks, atol=1e-3)
    assert result.nfe == steps


def test_frozen_rows_are_put_in_at_the_level_of_each_step_and_returned_as_they_are():
    frozen = torch.full((ROWS, 3, DIMS), 1.25)  # out of range on purpose: what is given is not clipped
    head = RandomHead()
    result = sample_chunk(head, CONDITION, SHAPE, SEEDS, frozen=frozen, keep_estimates=True)

    added = []
    for noisy, (timestep, *_) in head.shown:
        level = alpha_bar(timestep)
        added.append((noisy[:, :3] - math.sqrt(level) * frozen) / math.sqrt(1 - level))
    added = torch.stack(added)
    assert added.mean().item() == pytest.approx(0.0, abs=0.15)  # 360 standard normal numbers, new ones in each step
    assert added.std().item() == pytest.approx(1.0, abs=0.15)
    assert ((added[1:] - added[:-1]).abs().amax(dim=(1, 2, 3)) > 0.5).all()
    assert all(torch.equal(estimate[:, :3], frozen) for estimate in result.estimates)
    assert torch.equal(result.actions[:, :3], frozen)
    free = sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS).actions
    assert (result.actions[:, 3:] - free[:, 3:]).abs().max() > 0.05  # the other rows answer to the frozen ones


def test_frozen_rows_on_the_path_of_the_free_chunk_change_nothing():
    chunks = 2 * torch.rand(ROWS, *SHAPE, generator=torch.Generator().manual_seed(3)) - 1
    result = sample_chunk(Clairvoyant(chunks), CONDITION, SHAPE, SEEDS, frozen=chunks[:, :5])
    assert torch.allclose(result.actions, chunks, atol=1e-3)


def test_resampling_runs_each_step_again_at_its_own_noise_level_but_only_around_frozen_rows():
    chunks = torch.zeros(ROWS, *SHAPE)
    config = DdimConfig(resamplings=3)
    head = RandomHead()
    result = sample_chunk(head, CONDITION, SHAPE, SEEDS, frozen=chunks[:, :2], config=config)
    assert [steps[0] for _, steps in head.shown] == [t for t in range(90, -1, -10) for _ in range(3)]
    assert result.nfe == 30
    assert result.complete
    assert sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS, config=config).nfe == 10

    many = [range(200), torch.zeros(200, 1), torch.zeros(200, *SHAPE)]
    seen = []

    def exact(noisy, timestep, condition):
        seen.append(noisy)
        return Clairvoyant(many[2])(noisy, timestep, condition)

    sample_chunk(exact, many[1], SHAPE, many[0], frozen=many[2][:, :2], config=config)
    levels = [alpha_bar(t) for t in range(90, -1, -10) for _ in range(3)]
    # With nothing to see but zeros, a chunk at its level is noise of that level's size, and each pass brings new noise.
    assert [noisy.std().item() for noisy in seen] == pytest.approx([math.sqrt(1 - x) for x in levels], rel=0.05)
    assert all((a - b).abs().max() > 0.01 for a, b in pairwise(seen))


def test_no_rows_or_all_rows_may_be_frozen():
    free = sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS).actions
    none = torch.zeros(ROWS, 0, DIMS)
    assert torch.equal(sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS, frozen=none).actions, free)
    everything = torch.rand(ROWS, *SHAPE)
    assert torch.equal(sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS, frozen=everything).actions, everything)


def test_a_row_depends_on_its_own_seed_alone():
    together = sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS).actions
    for row, seed in enumerate(SEEDS):
        alone = sample_chunk(RandomHead(), CONDITION[row : row + 1], SHAPE, [seed]).actions
        assert torch.allclose(alone[0], together[row], atol=1e-6)
    assert torch.equal(sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS).actions, together)
    others = sample_chunk(RandomHead(), CONDITION, SHAPE, (21, 22, 23)).actions
    assert ((others - together).abs().amax(dim=(1, 2)) > 0.01).all()


class SlowHead(RandomHead):
    """Takes one second of its own clock per call."""

    now = 100.0

    def __call__(self, noisy, timestep, condition):
        self.now += 1.0
        return super().__call__(noisy, timestep, condition)


@pytest.mark.parametrize(("deadline_s", "nfe"), [(0.0, 1), (2.5, 3), (3.0, 3), (100.0, 10)])
def test_at_the_deadline_the_estimate_of_the_last_step_is_the_answer_and_is_marked(deadline_s, nfe):
    full = sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS, keep_estimates=True)
    slow = SlowHead()
    result = sample_chunk(slow, CONDITION, SHAPE, SEEDS, deadline_s=deadline_s, clock=lambda: slow.now)
    assert result.nfe == nfe
    assert result.complete == (nfe == 10)
    assert torch.equal(result.actions, full.estimates[nfe - 1])
    assert result.estimates == ()


def test_a_deadline_does_not_touch_frozen_rows():
    slow, frozen = SlowHead(), torch.full((ROWS, 2, DIMS), 0.3)
    result = sample_chunk(slow, CONDITION, SHAPE, SEEDS, deadline_s=1.0, clock=lambda: slow.now, frozen=frozen)
    assert not result.complete
    assert torch.equal(result.actions[:, :2], frozen)


def test_a_half_precision_head_is_run_in_half_precision_and_the_chunk_kept_in_single():
    head = RandomHead()
    result = sample_chunk(head, CONDITION.bfloat16(), SHAPE, SEEDS)
    assert {noisy.dtype for noisy, _ in head.shown} == {torch.bfloat16}
    assert result.actions.dtype == torch.float32
    assert (result.actions.bfloat16().float() != result.actions).any()


def test_gaussian_noise_is_standard_normal():
    numbers = gaussian(Noise([5, 6]), 100_000, step=-1)
    for row in numbers.double():
        assert row.mean().item() == pytest.approx(0.0, abs=0.02)
        assert row.std().item() == pytest.approx(1.0, abs=0.02)
        assert (row**4).mean().item() == pytest.approx(3.0, abs=0.15)
        assert (row[1:] * row[:-1]).mean().item() == pytest.approx(0.0, abs=0.02)
        assert (row.abs() < 1.0).double().mean().item() == pytest.approx(0.6827, abs=0.01)
    assert (numbers[0] * numbers[1]).mean().item() == pytest.approx(0.0, abs=0.02)


def test_an_answer_of_nan_is_refused():
    with pytest.raises(ActionError, match="NaN"):
        sample_chunk(lambda noisy, timestep, condition: noisy * torch.nan, CONDITION, SHAPE, SEEDS)


def test_an_answer_of_another_shape_is_refused():
    with pytest.raises(ActionError, match=r"\[3, 8, 4\], got \[3, 8, 1\]"):
        sample_chunk(lambda noisy, timestep, condition: noisy[..., :1], CONDITION, SHAPE, SEEDS)


def test_a_condition_without_a_seed_for_every_row_is_refused():
    with pytest.raises(ActionError, match="3 rows, 2 seeds"):
        sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS[:2])


@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 9, 4), (3, 3, 5), (3, 4)])
def test_frozen_rows_of_another_shape_are_refused(shape):
    with pytest.raises(ActionError, match=r"must be \[3, 0\.\.8, 4\]"):
        sample_chunk(RandomHead(), CONDITION, SHAPE, SEEDS, frozen=torch.zeros(shape))


def test_less_than_one_pass_per_step_is_refused():
    with pytest.raises(ConfigurationError, match="resamplings must be 1 or more, got 0"):
        DdimConfig(resamplings=0)


@pytest.mark.parametrize("steps", [0, 101])
def test_more_inference_than_training_steps_are_refused(steps):
    with pytest.raises(ConfigurationError, match=rf"1\.\.train_steps=100, got {steps}"):
        DdimConfig(inference_steps=steps)
