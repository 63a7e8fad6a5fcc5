"""Golden mask counts of the published systems, and the rules every schedule keeps."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.denoising.schedules import SCHEDULES, even_counts, masked_counts, schedule_named
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


def test_the_even_quota_is_lladas():
    committed = [before - after for before, after in pairwise([35, *masked_counts(35, 10, SCHEDULES["even"])])]
    assert committed == [4, 4, 4, 4, 4, 3, 3, 3, 3, 3]


@given(st.integers(0, 200), st.integers(1, 80))
def test_the_even_quota_gives_the_first_steps_one_more(unknown, num_steps):
    quota = [unknown // num_steps + (step < unknown % num_steps) for step in range(num_steps)]
    left = [unknown - sum(quota[: step + 1]) for step in range(num_steps)]
    assert even_counts(unknown, num_steps) == left[: min(unknown, num_steps)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # 64 unknowns in 8 steps, from the formulas with N = 64, so log2 N = 6
        ("uniform", [56, 48, 40, 32, 24, 16, 8, 0]),
        ("linear", [56, 48, 40, 32, 24, 16, 8, 0]),
        ("square", [63, 60, 55, 48, 39, 28, 15, 0]),
        ("pow2", [63, 60, 55, 48, 39, 28, 15, 0]),
        ("pow3", [63, 62, 60, 56, 48, 37, 21, 0]),
        ("pow0.5", [41, 32, 24, 18, 13, 8, 4, 0]),
        ("log", [32, 21, 15, 10, 7, 4, 2, 0]),
        ("exp", [62, 61, 59, 56, 50, 41, 25, 0]),
        ("cosine", [62, 59, 53, 45, 35, 24, 12, 0]),
    ],
)
def test_every_released_schedule_follows_its_formula(name, expected):
    assert masked_counts(64, 8, schedule_named(name)) == expected


def test_a_schedule_that_depends_on_the_unknowns_asks_for_them():
    with pytest.raises(ConfigurationError, match="'log' needs the number of unknown"):
        SCHEDULES["log"](torch.tensor(0.5))


def test_the_ratio_is_clamped_as_in_the_released_code():
    assert SCHEDULES["cosine"](torch.tensor(1.0)) == torch.tensor(1e-6)
    assert SCHEDULES["log"](torch.tensor(0.0), 64) == 1
    assert SCHEDULES["log"](torch.tensor(0.5), 1) == 1


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


@pytest.mark.parametrize("name", [*sorted(SCHEDULES), "pow3"])
def test_a_schedule_falls_from_one_to_zero(name):
    ratios = schedule_named(name)(torch.linspace(0, 1, 101, dtype=torch.float64), 2**20)
    assert abs(ratios[0] - 1) < 1e-5
    assert ratios[-1] <= 1e-6
    assert (ratios.diff() <= 0).all()
    assert (ratios.diff() < 0).sum() > 90


def test_an_unknown_schedule_is_named_with_the_known_ones():
    for name in ("cosin", "pow", "pow0", "pow-1"):
        with pytest.raises(ConfigurationError, match=rf"'{name}'.*cosine"):
            schedule_named(name)
