"""Period statistics from known start times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.period_statistics import PeriodStatistics

MS = 1_000_000
ROUNDED_UP = 1 / 64


def recorded(errors_ns: list[int]) -> PeriodStatistics:
    """A loop at 1 Hz whose periods are too long by these errors."""
    statistics, start = PeriodStatistics(rate_hz=1.0), 0
    statistics.record_start(start)
    for error in errors_ns:
        start += 1_000 * MS + error
        statistics.record_start(start)
    return statistics


def test_errors_are_distances_from_the_nominal_period() -> None:
    statistics = PeriodStatistics(rate_hz=50.0)
    for start in (0, 20, 41, 60, 80, 90):
        statistics.record_start(start * MS)
    summary = statistics.summary()  # errors 0, 1, 1, 0, 10 ms
    assert summary.periods == 5
    assert summary.p50_period_error_ms == pytest.approx(1.0, rel=ROUNDED_UP)
    assert summary.worst_period_error_ms == pytest.approx(10.0)
    assert summary.p99_period_error_ms == pytest.approx(10.0)
    assert summary.rate_hz == pytest.approx(5 / 0.09)


def test_worst_error_is_remembered_beyond_the_percentiles() -> None:
    statistics = PeriodStatistics(rate_hz=1000.0)
    statistics.record_start(0)
    for start in range(30_000):
        statistics.record_start((50 + start) * MS)
    summary = statistics.summary()
    assert summary.worst_period_error_ms == pytest.approx(49.0)
    assert summary.p99_period_error_ms == pytest.approx(0.0)


def test_counts_are_passed_on_before_any_period_is_known() -> None:
    statistics = PeriodStatistics(rate_hz=50.0)
    statistics.record_overrun()
    statistics.record_skipped(3)
    summary = statistics.summary()
    assert (summary.overruns, summary.skipped_slots, summary.periods, summary.rate_hz) == (1, 3, 0, 0.0)


@given(st.lists(st.integers(0, 10_000 * MS), min_size=1, max_size=100))
def test_percentiles_are_never_below_the_true_ones_and_hardly_above(errors_ns: list[int]) -> None:
    summary = recorded(errors_ns).summary()
    for share, told in ((50, summary.p50_period_error_ms), (99, summary.p99_period_error_ms)):
        true = np.percentile(errors_ns, share, method="inverted_cdf") / 1e6
        assert true <= told <= true * (1 + ROUNDED_UP) + 1e-6
    assert summary.worst_period_error_ms == max(errors_ns) / 1e6


def test_percentiles_cover_everything_since_the_start() -> None:
    summary = recorded([3 * MS] * 100 + [0] * 60_000 + [3 * MS] * 600).summary()
    assert summary.p99_period_error_ms == pytest.approx(3.0, rel=ROUNDED_UP)


def test_absurdly_long_periods_are_counted() -> None:
    week_ns = 7 * 24 * 3600 * 1000 * MS
    assert recorded([week_ns]).summary().worst_period_error_ms == pytest.approx(week_ns / 1e6)


def test_sleep_of_the_machine_is_a_gap_but_no_period_error() -> None:
    statistics = PeriodStatistics(rate_hz=50.0)
    for start, boot in ((0, 0), (20, 20), (40, 3_600_040), (60, 3_600_060)):
        statistics.record_start(start * MS, boot * MS)
    summary = statistics.summary()
    assert summary.worst_period_error_ms == pytest.approx(0.0)
    assert summary.longest_gap_s == pytest.approx(3600.02)


def test_a_loop_that_hangs_shows_as_a_growing_gap() -> None:
    statistics = PeriodStatistics(rate_hz=50.0)
    assert statistics.gap_s() == 0.0
    statistics.record_start()
    first = statistics.gap_s()
    assert 0.0 <= first < statistics.gap_s()


def test_longest_busy_time_is_remembered() -> None:
    statistics = PeriodStatistics(rate_hz=50.0)
    for busy_ms in (1, 7, 2):
        statistics.record_busy(busy_ms * MS)
    assert statistics.summary().longest_busy_ms == pytest.approx(7.0)
