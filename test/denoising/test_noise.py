"""Noise without state: uniform, independent, and the same for a row wherever it is."""

import math

import pytest
import torch

from dvla_ros.denoising.noise import Noise, _mix
from dvla_ros.errors import ActionError


def splitmix64(seed: int, count: int) -> list[int]:
    """The published generator in Python's own whole numbers."""
    state, numbers = seed % 2**64, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        numbers.append(z ^ (z >> 31))
    return numbers


def signed(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63


def test_the_hash_is_splitmix64():
    assert splitmix64(1234567, 2) == [6457827717110365317, 3203168211198807973]  # published with the generator
    seeds = [0, 1, 1234567, 2**63 - 1, 2**64 - 1]
    mixed = _mix(torch.tensor([signed(seed) for seed in seeds])).tolist()
    assert mixed == [signed(splitmix64(seed, 1)[0]) for seed in seeds]


def test_each_row_is_a_splitmix_stream_of_its_own():
    seed, step, draw = 42, 3, 1
    stream = splitmix64(splitmix64(seed, 1)[0] + (step + 2) * 4096 + draw, 1)[0]
    expected = torch.tensor([bits >> 11 for bits in splitmix64(stream, 5)]).float() * 2.0**-53
    assert torch.equal(Noise((seed,)).uniform(5, step=step, draw=draw)[0], expected)


def test_uniform_numbers_fill_the_interval_evenly():
    """Chi-square of 100 cells: mean 99, standard deviation 14."""
    numbers = Noise(range(50)).uniform(2000, step=0)
    counts = torch.histc(numbers.flatten(), bins=100, min=0, max=1)
    assert ((counts - 1000) ** 2 / 1000).sum() < 99 + 4 * 14


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seed": 0, "step": 0, "draw": 0}, {"seed": 1, "step": 0, "draw": 0}),
        ({"seed": 0, "step": 0, "draw": 0}, {"seed": 0, "step": 1, "draw": 0}),
        ({"seed": 0, "step": 0, "draw": 0}, {"seed": 0, "step": -1, "draw": 0}),
        ({"seed": 0, "step": 0, "draw": 0}, {"seed": 0, "step": 0, "draw": 1}),
        ({"seed": 0, "step": 0, "draw": 1}, {"seed": 0, "step": 1, "draw": 0}),
    ],
)
def test_rows_steps_and_draws_are_independent(one, other):
    """Chi-square of a 10 x 10 table of pairs, also with either shifted by one place: mean 99, deviation 14."""
    first, second = (
        Noise((key["seed"],)).uniform(20_001, step=key["step"], draw=key["draw"])[0] for key in (one, other)
    )
    for x, y in ((first[:-1], second[:-1]), (first[1:], second[:-1]), (first[:-1], second[1:])):
        cell = (10 * x).long() * 10 + (10 * y).long()
        counts = torch.bincount(cell, minlength=100).float()
        assert ((counts - 200) ** 2 / 200).sum() < 99 + 4 * 14


def test_neighbours_in_a_row_are_independent():
    x = Noise((7,)).uniform(20_001, step=0)[0]
    counts = torch.bincount((10 * x[:-1]).long() * 10 + (10 * x[1:]).long(), minlength=100).float()
    assert ((counts - 200) ** 2 / 200).sum() < 99 + 4 * 14


def test_a_row_gets_the_same_noise_in_every_batch():
    alone = Noise((5,)).gumbel(3, 4, step=2, draw=1)
    assert alone.shape == (1, 3, 4)
    assert torch.equal(Noise((9, 5, -1)).gumbel(3, 4, step=2, draw=1)[1:2], alone)


def test_any_whole_number_is_a_seed_and_differs_from_its_neighbours():
    seeds = [-1, 0, 1, 2**63 - 1, 2**64 - 2]
    rows = Noise(seeds).uniform(4, step=0)
    assert len({tuple(row.tolist()) for row in rows}) == len(seeds)


def test_gumbel_noise_is_finite_and_has_its_mean_variance_and_tail():
    noise = Noise(range(100)).gumbel(10_000, step=0)
    assert torch.isfinite(noise).all()
    assert abs(noise.mean() - 0.5772) < 0.005
    assert abs(noise.var() - torch.pi**2 / 6) < 0.01
    for level in (3.0, 6.0, 9.0):
        expected = -math.expm1(-math.exp(-level))
        assert abs((noise > level).double().mean() / expected - 1) < 5 / math.sqrt(1e6 * expected)


def test_the_ends_of_the_interval_are_never_reached(monkeypatch):
    extremes = torch.tensor([[[0, -1]]]).expand(16, 1, 2)  # all bits clear and all bits set
    monkeypatch.setattr("dvla_ros.denoising.noise._mix", lambda z: extremes if z.ndim == 3 else z)
    noise = Noise((0,))
    assert noise.uniform(2, step=0).tolist() == [[2.0**-54, 1 - 2.0**-24]]
    assert torch.isfinite(noise.gumbel(2, step=0)).all()


def test_the_numbers_of_a_step_do_not_depend_on_how_many_are_made_at_a_time(monkeypatch):
    seeds = (3, -8)
    together = [Noise(seeds).uniform(4, step=step, draw=1) for step in range(-1, 40)]
    monkeypatch.setattr("dvla_ros.denoising.noise._FEW", 0)
    alone = [Noise(seeds).uniform(4, step=step, draw=1) for step in range(-1, 40)]
    assert torch.equal(torch.stack(together), torch.stack(alone))


def test_noise_needs_a_row():
    with pytest.raises(ActionError, match="one seed per row"):
        Noise(())
