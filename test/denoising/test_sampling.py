"""Noise and ranking."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.sampling import entropy, lowest, probability_of, rank_from_lowest, safe_log, sample


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


@given(st.integers(1, 12), st.integers(0, 10_000))
def test_ranks_agree_with_sorting_one_position_at_a_time(length, seed):
    draw = torch.Generator().manual_seed(seed)
    score = torch.randint(0, 3, (1, length), generator=draw).float()
    pool = torch.rand(1, length, generator=draw) < 0.7

    rank = rank_from_lowest(score, pool)

    inside = sorted((i for i in range(length) if pool[0, i]), key=lambda i: (float(score[0, i]), -i))
    assert [int(rank[0, i]) for i in inside] == list(range(len(inside)))
    assert sorted(rank[0].tolist()) == list(range(length))


def test_samples_follow_the_probabilities_at_their_temperature():
    p = torch.tensor([0.6, 0.3, 0.1])
    log_p = p.log().expand(20_000, 1, 3)

    for temperature in (0.5, 1.0, 2.0):
        drawn = sample(log_p, temperature, Noise(range(20_000)), step=0).flatten()
        expected = p ** (1 / temperature) / (p ** (1 / temperature)).sum()
        assert torch.allclose(torch.bincount(drawn, minlength=3) / 20_000, expected, atol=0.015)


def test_at_temperature_zero_a_sample_is_the_arg_max():
    log_p = torch.randn(2, 5, 7).log_softmax(-1)
    assert torch.equal(sample(log_p, 0.0, Noise((0, 1)), step=0), log_p.argmax(-1))


def test_probability_and_entropy_of_a_known_distribution():
    log_p = torch.tensor([[[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]]).log()
    assert torch.allclose(probability_of(torch.tensor([[1, 2]]), log_p), torch.tensor([[0.5, 0.0]]))
    assert torch.allclose(entropy(log_p), torch.tensor([[0.6931472, 0.0]]))


def test_the_log_of_zero_is_finite():
    assert torch.isfinite(safe_log(torch.zeros(1))).all()
