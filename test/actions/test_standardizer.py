"""Mean-and-deviation normalisation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dvla_ros.actions.normalization import FeatureStatistics
from dvla_ros.actions.standardizer import Standardizer
from dvla_ros.errors import ActionError

ALL = np.ones(2, dtype=bool)
STANDARDIZER = Standardizer(np.array([1.0, 5.0]), np.array([2.0, 0.001]), ALL)


def test_a_small_deviation_counts_as_a_hundredth():
    assert STANDARDIZER.normalize([[3.0, 5.01], [1.0, 4.99]]) == pytest.approx(np.array([[1.0, 1.0], [0.0, -1.0]]))


def test_values_far_out_are_not_clipped():
    assert STANDARDIZER.normalize([21.0, 5.0])[0] == 10.0


@given(hnp.arrays(np.float64, (4, 2), elements=st.floats(-10, 10)))
def test_unnormalize_inverts_normalize(values):
    assert STANDARDIZER.unnormalize(STANDARDIZER.normalize(values)) == pytest.approx(values, abs=1e-9)


def test_data_get_mean_zero_and_deviation_one_and_masked_columns_pass():
    rows = np.random.default_rng(0).normal([3, 0.5], [2, 0.1], (500, 2))
    statistics = FeatureStatistics.fit(rows, mask=[True, False])
    normalized = Standardizer.from_statistics(statistics).normalize(rows)
    assert (normalized[:, 0].mean(), normalized[:, 0].std()) == pytest.approx((0, 1))
    assert np.array_equal(normalized[:, 1], rows[:, 1])
    assert np.array_equal(Standardizer.from_statistics(statistics).unnormalize(normalized)[:, 1], rows[:, 1])


def test_another_number_of_columns_is_refused():
    with pytest.raises(ActionError, match=r"2 columns.*\[4, 7\]"):
        STANDARDIZER.normalize(np.zeros((4, 7)))


@pytest.mark.parametrize(
    ("mean", "std", "floor", "message"),
    [
        ([0.0], [1.0, 1.0], 0.01, "one shape"),
        ([0.0, np.nan], [1.0, 1.0], 0.01, "finite"),
        ([0.0, 0.0], [1.0, -1.0], 0.01, "not negative"),
        ([0.0, 0.0], [1.0, 1.0], 0.0, "floor"),
    ],
)
def test_statistics_that_cannot_be_are_refused(mean, std, floor, message):
    with pytest.raises(ActionError, match=message):
        Standardizer(np.array(mean), np.array(std), ALL, floor)
