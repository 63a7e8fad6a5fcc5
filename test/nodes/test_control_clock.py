"""The control thread's clock: ROS time while it runs evenly, and never backwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.nodes.control_clock import JUMPED, STOPPED, ControlClock

PERIOD = 0.02


def read(clock, pairs):
    return [clock.read(ros, monotonic) for ros, monotonic in pairs]


def even(start_ros, start_monotonic, pace=1.0, ticks=50):
    return [(start_ros + pace * PERIOD * tick, start_monotonic + PERIOD * tick) for tick in range(ticks)]


@pytest.mark.parametrize("pace", [0.5, 1.0, 2.0, 10.0])
def test_time_that_runs_evenly_is_followed_at_any_pace(pace):
    pairs = even(1000.0, 5.0, pace)
    readings = read(ControlClock(0.25, 0.5), pairs)
    assert [reading.now for reading in readings] == [ros for ros, _ in pairs]
    assert {reading.problem for reading in readings} == {""}


@pytest.mark.parametrize("step", [10.0, -10.0])
def test_after_a_jump_the_old_time_goes_on_until_the_new_one_is_taken_over(step):
    clock = ControlClock(0.25, 0.5)
    before = read(clock, even(1000.0, 5.0))[-1]
    after = read(clock, even(1001.0 + step, 6.0))
    assert all(reading.problem == JUMPED and f"{step:+.0f}" in reading.detail for reading in after)
    assert after[-1].now == pytest.approx(before.now + 50 * PERIOD)
    clock.follow()
    assert clock.read(1002.0 + step, 7.0) == pytest.approx(clock.read(1002.0 + step, 7.0))
    assert clock.read(1002.02 + step, 7.02).now == pytest.approx(1002.02 + step)


def test_a_tick_that_comes_late_is_no_jump():
    clock = ControlClock(0.25, 0.5)
    clock.read(1000.0, 5.0)
    assert clock.read(1003.0, 8.0).problem == ""


def test_time_that_stands_still_has_stopped_after_a_while_and_goes_on_where_it_stood():
    clock = ControlClock(0.25, 0.5)
    clock.read(1000.0, 5.0)
    stood = read(clock, [(1000.0, 5.0 + PERIOD * tick) for tick in range(1, 60)])
    assert [reading.problem for reading in stood[:24]] == [""] * 24
    assert stood[-1].problem == STOPPED and stood[-1].now == 1000.0
    assert clock.read(1000.02, 6.2).problem == ""


def test_there_is_no_time_before_the_first_message_of_a_simulated_clock():
    clock = ControlClock(0.25, 0.5)
    assert clock.read(0.0, 5.0).problem == STOPPED
    assert clock.read(700.0, 5.02) == clock.read(700.0, 5.03)
    assert clock.read(700.02, 5.04).now == 700.02


@given(st.lists(st.tuples(st.floats(-20.0, 20.0), st.floats(0.0, 0.1)), min_size=1, max_size=60))
def test_without_taking_over_a_jump_time_never_goes_back(steps):
    clock, ros, monotonic, last = ControlClock(0.25, 0.5), 1000.0, 5.0, 0.0
    for advance, elapsed in steps:
        ros, monotonic = ros + advance, monotonic + elapsed
        reading = clock.read(max(ros, 1.0), monotonic)
        assert reading.now >= last
        last = reading.now
