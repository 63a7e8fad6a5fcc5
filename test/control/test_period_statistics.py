"""Period statistics from known start times."""

import pytest

from dvla_ros.control.period_statistics import PeriodStatistics

MS = 1_000_000


def test_errors_are_distances_from_the_nominal_period() -> None:
    statistics = PeriodStatistics(rate_hz=50.0)
    for start in (0, 20, 41, 60, 80, 90):
        statistics.record_start(start * MS)
    summary = statistics.summary()  # errors 0, 1, 1, 0, 10 ms
    assert summary.periods == 5
    assert summary.p50_period_error_ms == pytest.approx(1.0)
    assert summary.worst_period_error_ms == pytest.approx(10.0)
    assert summary.p99_period_error_ms == pytest.approx(9.64)
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
