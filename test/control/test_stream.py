"""Streams keep the newest samples in order and count what was lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.alignment_config import StreamTiming
from dvla_ros.control.stream import StampedStream
from dvla_ros.errors import ConfigurationError, ObservationError


def stream(*stamps: float, history_s: float = 1.0, capacity: int | None = None) -> StampedStream[str]:
    result: StampedStream[str] = StampedStream("front", StreamTiming(10.0), history_s, capacity)
    for stamp in stamps:
        result.store(stamp, f"at {stamp}")
    return result


def test_samples_around_a_time_are_found() -> None:
    assert stream(1.0, 1.1, 1.2).around(1.15) == ((1.1, "at 1.1"), (1.2, "at 1.2"))
    assert stream(1.0, 1.1).around(1.1) == ((1.1, "at 1.1"), (1.1, "at 1.1"))


def test_beyond_the_history_the_end_is_given_twice() -> None:
    assert stream(1.0, 1.1).around(0.5) == ((1.0, "at 1.0"), (1.0, "at 1.0"))
    assert stream(1.0, 1.1).around(2.0) == ((1.1, "at 1.1"), (1.1, "at 1.1"))


@given(st.lists(st.integers(1, 80), min_size=1, max_size=10, unique=True).map(sorted), st.integers(-5, 90))
def test_nearest_sample_is_the_one_at_the_smallest_distance(stamps: list[int], wanted: int) -> None:
    stamp, _ = stream(*(value / 10 for value in stamps), history_s=10.0).nearest(wanted / 10)
    assert abs(stamp - wanted / 10) == min(abs(value / 10 - wanted / 10) for value in stamps)


def test_samples_between_two_times_include_both_ends() -> None:
    assert [stamp for stamp, _ in stream(1.0, 1.1, 1.2, 1.3).between(1.1, 1.2)] == [1.1, 1.2]
    assert stream(1.0, 1.1).between(1.2, 1.0) == []


def test_repeated_and_older_stamps_are_dropped_and_counted() -> None:
    statistics = stream(1.0, 1.1, 1.1, 1.05, 1.2).statistics()
    assert (statistics.received, statistics.dropped, statistics.newest) == (3, 2, 1.2)
    assert (statistics.repeated, statistics.out_of_order, statistics.unstamped) == (1, 1, 0)


def test_what_came_since_the_newest_sample_is_told() -> None:
    still = stream(1.0, 0.9, 1.1, 1.1, 1.1, 1.0, 0.0)
    assert still.trouble() == (
        "1 without a stamp (set stamp_source to receive), 2 with the same stamp again, 1 with an older stamp"
    )
    still.store(1.2, "new")
    assert still.trouble() == ""


def test_samples_without_a_stamp_are_refused_unless_the_time_of_arrival_counts() -> None:
    assert stream(0.0).newest is None
    by_arrival: StampedStream[str] = StampedStream("front", StreamTiming(10.0, 0.15, "receive"), 1.0)
    assert by_arrival.store(0.0, "unstamped", received=7.0)
    assert by_arrival.newest == pytest.approx(6.85)
    with pytest.raises(ConfigurationError, match="'receive' needs the time at which a message arrived"):
        by_arrival.store(0.0, "unstamped")


def test_the_latency_is_taken_off_the_stamp() -> None:
    late: StampedStream[str] = StampedStream("front", StreamTiming(10.0, latency_s=0.125), 1.0)
    late.store(5.0, "frame")
    assert late.newest == 4.875


def test_expected_samples_follow_from_the_stamps() -> None:
    statistics = stream(5.0, 5.1, 5.5, 6.0).statistics()
    assert (statistics.received, statistics.expected) == (4, 11)
    assert stream().statistics().expected == 0


def test_the_rate_is_that_of_the_history() -> None:
    assert stream(5.0, 5.25, 5.5, 5.75).statistics().rate_hz == pytest.approx(4.0)
    assert stream(5.0).statistics().rate_hz == 0.0


@given(st.lists(st.floats(0.001, 0.9), min_size=1, max_size=300))
def test_history_is_bounded_in_time_and_number(steps: list[float]) -> None:
    time, kept = 1.0, stream()
    for step in steps:
        time += step
        kept.store(time, "frame")
    samples = kept.between(0.0, time)
    assert len(samples) <= 22
    assert samples[-1][0] == time
    assert samples[0][0] >= time - 1.0


def test_a_jump_back_is_told_and_the_history_starts_anew() -> None:
    back = stream(100.0, 100.1, 90.0)
    assert back.jump == pytest.approx(-10.1)
    assert back.newest == 90.0
    assert back.store(90.1, "next")
    assert back.jump == pytest.approx(-10.1)
    back.clear()
    assert back.jump == 0.0


def test_stamps_that_fall_behind_the_arrivals_are_told_while_they_do() -> None:
    behind = stream()
    behind.store(100.0, "a", received=100.05)
    behind.store(100.1, "b", received=110.15)
    assert behind.jump == pytest.approx(10.0)
    behind.store(100.2, "c", received=100.25)
    assert behind.jump == 0.0


def test_cleared_stream_accepts_an_earlier_clock() -> None:
    again = stream(100.0, 100.1)
    again.clear()
    assert again.newest is None
    with pytest.raises(ObservationError, match="'front' holds no sample"):
        again.nearest(100.0)
    again.store(0.1, "new")
    assert again.nearest(0.1) == (0.1, "new")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'front' needs a positive history, got 0.0 s"):
        stream(history_s=0.0)
