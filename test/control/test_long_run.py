"""A day of work: rows end where and when they should, and memory stays what it was."""

from dvla_ros.evaluation.long_run import LongRunConfig, long_run


def test_a_day_neither_shifts_the_timing_nor_grows_the_memory() -> None:
    report = long_run(LongRunConfig(hours=24.0, hz=10, every_s=120.0))
    assert report.chunks == 720
    assert not report.rejected
    assert report.worst_error_rad < 1e-5
    assert report.worst_error_rad < report.first_hour_error_rad + 1e-6
    assert report.rss_growth <= 0.01
