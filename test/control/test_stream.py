"""Streams keep the newest samples in order and count what was lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.stream import StampedStream
from dvla_ros.errors import ConfigurationError, ObservationError


def stream(*stamps: float) -> StampedStream[str]:
    result: StampedStream[str] = StampedStream("front", expected_hz=10.0, history_s=1.0)
    for stamp in stamps:
        result.store(stamp, f"at {stamp}")
    return result


def test_samples_around_a_time_are_found() -> None:
    assert stream(1.0, 1.1, 1.2).around(1.15) == ((1.1, "at 1.1"), (1.2, "at 1.2"))
    assert stream(1.0, 1.1).around(1.1) == ((1.1, "at 1.1"), (1.1, "at 1.1"))


def test_beyond_the_history_the_end_is_given_twice() -> None:
    assert stream(1.0, 1.1).around(0.5) == ((1.0, "at 1.0"), (1.0, "at 1.0"))
    assert stream(1.0, 1.1).around(2.0) == ((1.1, "at 1.1"), (1.1, "at 1.1"))


@given(st.lists(st.integers(0, 80), min_size=1, max_size=10, unique=True).map(sorted), st.integers(-5, 90))
def test_nearest_sample_is_the_one_at_the_smallest_distance(stamps: list[int], wanted: int) -> None:
    stamp, _ = stream(*(value / 10 for value in stamps)).nearest(wanted / 10)
    assert abs(stamp - wanted / 10) == min(abs(value / 10 - wanted / 10) for value in stamps)


def test_repeated_and_older_stamps_are_dropped_and_counted() -> None:
    statistics = stream(1.0, 1.1, 1.1, 1.05, 1.2).statistics()
    assert (statistics.received, statistics.dropped, statistics.newest) == (3, 2, 1.2)


def test_expected_samples_follow_from_the_stamps() -> None:
    statistics = stream(5.0, 5.1, 5.5, 6.0).statistics()
    assert (statistics.received, statistics.expected) == (4, 11)
    assert stream().statistics().expected == 0


def test_history_is_bounded() -> None:
    long = stream(*(index / 10 for index in range(100)))
    assert long.around(0.0)[0][0] == pytest.approx(8.8)


def test_cleared_stream_accepts_an_earlier_clock() -> None:
    again = stream(100.0, 100.1)
    again.clear()
    assert again.newest is None
    with pytest.raises(ObservationError, match="'front' holds no sample"):
        again.nearest(100.0)
    again.store(0.1, "new")
    assert again.nearest(0.1) == (0.1, "new")


@pytest.mark.parametrize(("rate", "history"), [(0.0, 1.0), (10.0, 0.0)])
def test_impossible_settings_are_refused(rate: float, history: float) -> None:
    with pytest.raises(ConfigurationError, match="front"):
        StampedStream("front", rate, history)
