"""Noise and ranking."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.denoising.sampling import gumbel, lowest, safe_log


@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 10_000))
def test_lowest_takes_exactly_the_count_even_among_ties(length, count, seed):
    draw = torch.Generator().manual_seed(seed)
    score = torch.randint(0, 3, (1, length), generator=draw).float()
    pool = torch.rand(1, length, generator=draw) < 0.7

    taken = lowest(score, pool, torch.tensor([[count]]))

    assert not (taken & ~pool).any()
    assert taken.sum() == min(count, int(pool.sum()))
    rest = pool & ~taken
    if taken.any() and rest.any():
        assert score[taken].max() <= score[rest].min()


def test_of_equal_scores_the_later_positions_are_taken():
    taken = lowest(torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.bool), torch.tensor([[2]]))
    assert taken.tolist() == [[False, False, True, True]]


def test_gumbel_noise_has_its_mean_and_variance():
    noise = gumbel(torch.empty(200_000), torch.Generator().manual_seed(0))
    assert abs(noise.mean() - 0.5772) < 0.02
    assert abs(noise.var() - torch.pi**2 / 6) < 0.03


def test_the_log_of_zero_is_finite():
    assert torch.isfinite(safe_log(torch.zeros(1))).all()
