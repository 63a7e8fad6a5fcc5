"""Training-time masking."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.denoising.corruption import mask_for_training, mask_independently
from dvla_ros.denoising.noise import Noise
from dvla_ros.errors import ActionError

MASK = 9


def noise(rows, seed=0):
    return Noise([1000 * seed + row for row in range(rows)])


@settings(max_examples=50)
@given(st.integers(1, 20), st.integers(0, 25), st.integers(1, 3), st.integers(0, 1000))
def test_only_free_positions_are_masked_and_at_least_so_many(length, prefix, least, seed):
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, MASK, (4, length), generator=draw)
    frozen = torch.full((4,), min(prefix, length))

    corrupted, is_masked = mask_for_training(tokens, MASK, noise(4, seed), min_masked=least, frozen_prefix=frozen)

    assert torch.equal(corrupted == MASK, is_masked)
    assert torch.equal(corrupted[~is_masked], tokens[~is_masked])
    assert not is_masked[:, : min(prefix, length)].any()
    free = length - min(prefix, length)
    assert (is_masked.sum(dim=1) >= min(least, free)).all()


def test_the_mask_ratio_follows_the_cosine_schedule():
    _, is_masked = mask_for_training(torch.zeros(20_000, 56, dtype=torch.int64), MASK, noise(20_000))

    ratio = is_masked.float().mean(dim=1)
    assert abs(ratio.mean() - 2 / torch.pi) < 0.01  # the mean of cos(pi u / 2)
    assert abs((ratio > 0.5).float().mean() - 2 / 3) < 0.02  # cos(pi u / 2) > 1/2 for u < 2/3


def test_every_position_is_masked_equally_often():
    _, is_masked = mask_for_training(torch.zeros(20_000, 8, dtype=torch.int64), MASK, noise(20_000))
    assert (is_masked.float().mean(dim=0) - is_masked.float().mean()).abs().max() < 0.015


def test_masking_is_reproducible():
    tokens = torch.zeros(4, 56, dtype=torch.int64)
    first, second = (mask_for_training(tokens, MASK, noise(4))[1] for _ in range(2))
    assert torch.equal(first, second)


def test_a_frozen_prefix_needs_one_number_per_row():
    with pytest.raises(ActionError, match=r"\[4\], got \[2\]"):
        mask_for_training(torch.zeros(4, 8, dtype=torch.int64), MASK, noise(4), frozen_prefix=torch.zeros(2))


def test_positions_that_are_given_are_not_masked_and_the_others_as_without_them():
    tokens, fixed = torch.zeros(400, 8, dtype=torch.int64), torch.arange(8) < 3
    free, given = (mask_independently(tokens, MASK, noise(400), fixed=each) for each in (None, fixed))
    assert not given[1][:, :3].any() and torch.equal(given[1][:, 3:], free[1][:, 3:])
    assert torch.equal(given[0] == MASK, given[1])
