"""Samples at any time."""

import numpy as np

from dvla_ros.recordings.actions.series import Series


def series(**options):
    return Series(np.array([1.0, 2.0, 5.0]), np.array([[0.0], [10.0], [20.0]]), **options)


def sampled(times, **options):
    return series(**options).sample(np.array(times))[:, 0]


def test_close_samples_are_joined_and_others_hold():
    np.testing.assert_allclose(sampled([1.0, 1.5, 2.0, 4.9, 5.0], line_s=1.0), [0, 5, 10, 10, 20])


def test_nothing_is_known_before_the_first_sample_and_long_after_one():
    np.testing.assert_allclose(sampled([0.9, 2.4, 2.6, 5.6], line_s=1.0, hold_s=0.5), [np.nan, 10, np.nan, np.nan])


def test_an_empty_series_knows_nothing():
    assert np.isnan(Series(np.empty(0), np.empty((0, 2))).sample(np.array([1.0]))).all()


def test_of_two_samples_at_one_time_the_last_counts():
    made = Series.of([(2.0, np.array([1.0])), (1.0, np.array([5.0])), (2.0, np.array([3.0]))], 1)
    np.testing.assert_array_equal(made.sample(np.array([1.0, 2.0]))[:, 0], [5.0, 3.0])
