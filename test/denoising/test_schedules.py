"""Golden mask counts of the published systems, and the rules every schedule keeps."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.denoising.schedules import SCHEDULES, masked_counts, schedule_named
from dvla_ros.errors import ConfigurationError

COUNTS_56_IN_12 = [55, 54, 51, 48, 44, 39, 34, 28, 21, 14, 7, 0]
COUNTS_35_IN_12 = [34, 33, 32, 30, 27, 24, 21, 17, 13, 9, 4, 0]
COUNTS_UD_VLA = [
    *(811, 810, 809, 808, 807, 806, 805, 804, 801, 797, 793, 789, 784, 779, 773, 767, 761, 754, 747, 740, 732, 724),
    *(716, 707, 698, 689, 679, 669, 658, 648, 637, 625, 614, 602, 590, 577, 564, 551, 538, 525, 511, 497, 483, 468),
    *(453, 438, 423, 408, 392, 377, 361, 345, 329, 312, 296, 279, 262, 245, 228, 211, 194, 176, 159, 141, 124, 106),
    *(88, 71, 53, 35, 17, 0),
]


@pytest.mark.parametrize(
    ("unknown", "num_steps", "reference", "expected"),
    [
        (56, 12, None, COUNTS_56_IN_12),
        (35, 12, None, COUNTS_35_IN_12),
        (812, 72, 817, COUNTS_UD_VLA),
        (1, 1, None, [0]),
        (0, 12, None, []),
    ],
)
def test_cosine_counts_are_those_of_the_published_decoders(unknown, num_steps, reference, expected):
    assert masked_counts(unknown, num_steps, SCHEDULES["cosine"], reference) == expected


def test_counts_end_early_when_there_are_fewer_unknowns_than_steps():
    assert masked_counts(3, 12, SCHEDULES["cosine"]) == [2, 1, 0]


def test_a_whole_product_is_not_lost_to_rounding():
    assert masked_counts(49, 49, SCHEDULES["linear"]) == list(range(48, -1, -1))


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 200), st.integers(1, 80))
def test_counts_fall_strictly_to_zero_within_the_steps(name, unknown, num_steps):
    counts = [unknown, *masked_counts(unknown, num_steps, SCHEDULES[name])]
    assert all(after < before for before, after in pairwise(counts))
    assert counts[-1] == 0
    assert len(counts) - 1 <= num_steps


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_schedule_falls_from_one_to_zero(name):
    ratios = schedule_named(name)(torch.linspace(0, 1, 101, dtype=torch.float64))
    assert ratios[0] == 1
    assert abs(ratios[-1]) < 1e-12
    assert (ratios.diff() < 0).all()


def test_an_unknown_schedule_is_named_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"'cosin'.*cosine"):
        schedule_named("cosin")
