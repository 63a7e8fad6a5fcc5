"""Small statistics: intervals of rates and a test of pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from dvla_ros.evaluation.statistics import sign_test, wilson_interval

counts = st.integers(0, 200)


@given(counts, counts)
def test_the_sign_test_is_the_exact_binomial_one(better, worse):
    expected = binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert sign_test(better, worse) == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 300).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilsons_interval_is_scipys(counts):
    successes, trials = counts
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-6)
