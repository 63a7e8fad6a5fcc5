"""LLaDA-VLA's intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.actions.intervals import UniformIntervals
from dvla_ros.errors import ActionError, ConfigurationError

INTERVALS = UniformIntervals()


@pytest.mark.parametrize(
    ("value", "index", "centre"),
    [(-1.0, 0, -0.96875), (-0.9376, 0, -0.96875), (-0.9375, 1, -0.90625), (0.0, 16, 0.03125), (1.0, 31, 0.96875)],
)
def test_32_intervals_of_a_sixteenth(value, index, centre):
    assert INTERVALS.encode(value) == index
    assert INTERVALS.decode(index) == centre


def test_every_id_has_a_centre_of_its_own():
    assert pytest.approx([-1 + (2 * k + 1) / 32 for k in range(32)]) == INTERVALS.centres
    assert np.array_equal(INTERVALS.encode(INTERVALS.centres), np.arange(32))


@given(st.floats(-1, 1), st.integers(2, 512))
def test_the_round_trip_is_off_by_at_most_half_an_interval(value, num_bins):
    intervals = UniformIntervals(num_bins)
    assert abs(intervals.decode(intervals.encode(value)) - value) <= 1 / num_bins + 1e-12


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_ids_grow_with_the_value(one, other):
    low, high = sorted((one, other))
    assert 0 <= INTERVALS.encode(low) <= INTERVALS.encode(high) <= 31


def test_tokens_are_the_rows_that_llada_leaves_unused():
    assert INTERVALS.to_vocabulary([0, 31]).tolist() == [126352, 126383]
    assert INTERVALS.from_vocabulary([126352, 126383]).tolist() == [0, 31]
    assert INTERVALS.to_vocabulary([0, 31], first_row=126464).tolist() == [126464, 126495]


@pytest.mark.parametrize("token", [5, 126351, 126384])
def test_other_tokens_are_refused_when_decoded(token):
    with pytest.raises(ActionError, match=r"0\.\.31"):
        INTERVALS.decode(INTERVALS.from_vocabulary([126352, token]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(ActionError, match="NaN or infinite"):
        INTERVALS.encode([0.0, value])


def test_a_single_interval_is_refused():
    with pytest.raises(ConfigurationError, match="got 1"):
        UniformIntervals(1)
