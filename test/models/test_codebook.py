"""The codebook finds the nearest code, follows what is assigned to it, and revives what nothing is assigned to."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from dvla_ros.models.codebook import Codebook


def unit(count, dim, seed):
    return functional.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=-1)


@given(st.integers(0, 99), st.integers(2, 9), st.integers(2, 30))
@settings(deadline=None, max_examples=30)
def test_the_nearest_code_is_the_one_at_the_least_angle(seed, dim, size):
    codebook = Codebook(size, dim)
    codebook.vectors.copy_(unit(size, dim, seed))
    vectors = unit(11, dim, seed + 1000)
    distances = torch.cdist(vectors.double(), codebook.vectors.double())
    chosen = distances.gather(1, codebook.nearest(vectors).unsqueeze(1)).squeeze(1)
    assert torch.allclose(chosen, distances.amin(dim=1), atol=1e-4)


def test_mixed_precision_does_not_change_the_codes():
    codebook, near = Codebook(200, 2), torch.linspace(0.0, 0.5, 200)
    codebook.vectors.copy_(torch.stack([near.cos(), near.sin()], dim=-1))
    with torch.autocast("cpu", torch.bfloat16):
        codes = codebook.nearest(codebook.vectors.clone())
    assert (codes - torch.arange(200)).abs().max() <= 1


def test_a_code_moves_to_the_direction_of_what_is_assigned_to_it():
    codebook, generator = Codebook(2, 2), torch.Generator().manual_seed(0)
    codebook.vectors.copy_(torch.eye(2))
    vectors = functional.normalize(torch.tensor([[1.0, 0.2], [1.0, 0.4], [-0.1, 1.0]]), dim=-1)
    codebook.learn(vectors, codebook.nearest(vectors), decay=0.0, dead_below=0.0, generator=generator)
    expected = functional.normalize(torch.stack([vectors[:2].sum(dim=0), vectors[2]]), dim=-1)
    assert torch.allclose(codebook.vectors, expected, atol=1e-6)


def test_a_slow_code_moves_part_of_the_way():
    codebook, generator = Codebook(2, 2), torch.Generator().manual_seed(0)
    codebook.sums.copy_(torch.eye(2))
    codebook.usage.fill_(1.0)
    codebook.vectors.copy_(torch.eye(2))
    vectors = functional.normalize(torch.tensor([[1.0, 0.9]]), dim=-1)
    codebook.learn(vectors, torch.tensor([0]), decay=0.75, dead_below=0.0, generator=generator)
    expected = functional.normalize(0.75 * torch.tensor([1.0, 0.0]) + 0.25 * vectors[0], dim=-1)
    assert torch.allclose(codebook.vectors[0], expected, atol=1e-6)
    assert torch.allclose(codebook.vectors[1], torch.tensor([0.0, 1.0]))
    assert torch.allclose(codebook.usage, torch.tensor([1.0, 0.75]))


def test_dead_codes_become_vectors_of_the_batch_and_live_ones_stay():
    codebook, generator = Codebook(6, 3), torch.Generator().manual_seed(0)
    live = torch.tensor([1.0, 0.0, 0.0])
    codebook.vectors.copy_(-live.repeat(6, 1))
    codebook.vectors[2] = live
    codebook.sums.copy_(codebook.vectors)
    codebook.usage.copy_(torch.tensor([0.0, 0.0, 9.0, 0.0, 0.0, 0.0]))
    vectors = unit(40, 3, seed=5)
    vectors[:, 0] = vectors[:, 0].abs()
    revived = codebook.learn(vectors, codebook.nearest(vectors), decay=0.999, dead_below=0.5, generator=generator)
    assert revived == 5
    assert codebook.vectors[2] @ live > 0.99
    for place in (0, 1, 3, 4, 5):
        assert (vectors @ codebook.vectors[place]).max() > 1.0 - 1e-5
    assert len(codebook.vectors.unique(dim=0)) == 6


def test_revival_prefers_what_the_codes_describe_badly():
    common, rare = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    vectors = torch.cat([common.repeat(500, 1), rare.unsqueeze(0)])
    for seed in range(10):
        codebook = Codebook(2, 2)
        codebook.vectors.copy_(torch.stack([common, -common]))
        codebook.sums.copy_(codebook.vectors)
        codebook.usage.copy_(torch.tensor([5.0, 0.0]))
        codebook.learn(vectors, codebook.nearest(vectors), 0.99, 0.5, torch.Generator().manual_seed(seed))
        assert torch.allclose(codebook.vectors[1], rare)


def test_fewer_vectors_than_dead_codes_revive_as_many_as_there_are():
    codebook, vectors = Codebook(10, 3), unit(4, 3, seed=0)
    revived = codebook.learn(vectors, codebook.nearest(vectors), 0.99, 0.5, torch.Generator().manual_seed(0))
    assert revived == 4
    assert torch.isfinite(codebook.vectors).all()
