"""Noise and ranking."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import seeded

from dvla_ros.denoising import sampling
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.sampling import (
    entropy,
    likeliest,
    lowest,
    probability_of,
    rank_from_lowest,
    safe_log,
    sample,
    sample_weights,
)


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


def test_weights_are_drawn_in_proportion_and_those_of_zero_never():
    """Chi-square of 1 000 ids, half of them impossible: mean 499, standard deviation 32."""
    weights = torch.rand(1000, generator=seeded()).masked_fill_(torch.arange(1000) % 2 == 0, 0.0)
    drawn = sample_weights(weights.expand(100, 2000, 1000), Noise(range(100)), step=2).flatten()
    counts, expected = torch.bincount(drawn, minlength=1000), 200_000 * weights / weights.sum()
    assert (counts[weights == 0] == 0).all()
    assert ((counts - expected)[1::2] ** 2 / expected[1::2]).sum() < 499 + 4 * 32


@pytest.mark.parametrize("vocabulary", [4096, 5000, 32775])
def test_many_ids_are_looked_up_by_blocks_with_the_same_answer(vocabulary, monkeypatch):
    """But for ids whose sums are rounded otherwise: of a million numbers a few lie between neighbours."""
    weights = torch.softmax(3 * torch.randn(2, 100, vocabulary, generator=seeded()), dim=-1)
    weights[:, :50, -3:] = 0.2  # in the last block, which may be shorter
    by_blocks = sample_weights(weights, Noise((4, 5)), step=1)
    monkeypatch.setattr(sampling, "_MANY", 10**9)
    in_a_row = sample_weights(weights, Noise((4, 5)), step=1)
    assert (by_blocks == in_a_row).float().mean() > 0.98
    assert (by_blocks - in_a_row).abs().max() <= 1


@pytest.mark.parametrize("level", [2.0**-54, 1 - 2.0**-24])
def test_at_the_ends_of_the_interval_only_what_is_possible_is_drawn(level, monkeypatch):
    monkeypatch.setattr(Noise, "uniform", lambda self, *shape, **which: torch.full((1, *shape), level))
    weights = torch.tensor([[[0.0, 0.3, 1e-9, 0.0], [0.0, 0.0, 7.0, 0.0], [1e-30, 0.0, 0.0, 1e-30]]])
    drawn = sample_weights(weights, Noise((0,)), step=0)
    assert (weights.gather(-1, drawn.unsqueeze(-1)) > 0).all()


def test_without_any_weight_some_id_is_drawn():
    assert 0 <= int(sample_weights(torch.zeros(1, 1, 5), Noise((0,)), step=0)) < 5


def test_of_equal_scores_the_first_id_is_the_likeliest(monkeypatch):
    score = torch.tensor([[[0.0, 2.0, 2.0], [1.0, 1.0, 1.0]]])
    assert likeliest(score).tolist() == [[1, 0]]
    monkeypatch.setattr(sampling, "_ASK_NUMPY", False)
    assert likeliest(score).tolist() == [[1, 0]]
