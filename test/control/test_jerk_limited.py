"""Time-optimal motion: as fast as the limits allow and no faster, also from states at the limits."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.jerk_limited import JerkLimitedPlanner

LIMITS = np.array([[np.pi], [20.0], [600.0]]) * np.ones(2)
velocities = st.floats(-2.4, 2.4)


def state(position: float = 0.0, velocity: float = 0.0, acceleration: float = 0.0) -> np.ndarray:
    return np.array([[position] * 2, [velocity] * 2, [acceleration] * 2])


def test_takes_the_least_time_from_rest_to_rest() -> None:
    piece = JerkLimitedPlanner(2).reach(state(), np.array([2.0, 1.0]), np.zeros(2), LIMITS, 0.0)
    assert piece is not None
    fastest = 2.0 / np.pi + np.pi / 20.0 + 20.0 / 600.0  # the way at full speed, and what speeding up and down costs
    assert piece.length == pytest.approx(fastest)


def test_each_joint_needs_its_own_least_time() -> None:
    needed = JerkLimitedPlanner(2).shortest(state(), np.array([2.0, 0.0]), np.zeros(2), LIMITS)
    np.testing.assert_allclose(needed, [2.0 / np.pi + np.pi / 20.0 + 20.0 / 600.0, 0.0])


def test_no_way_takes_forever() -> None:
    assert np.isinf(JerkLimitedPlanner(2).shortest(state(0.0, math.nan), np.zeros(2), np.zeros(2), LIMITS)).all()


HELD_AT_EXIT = """
import threading
import numpy as np
from dvla_ros.control.jerk_limited import JerkLimitedPlanner
planner, started = JerkLimitedPlanner(2), threading.Event()
def hold(planner, piece):
    started.set()
    threading.Event().wait()
piece = planner.brake(np.ones((3, 2)), 9.0 * np.ones((3, 2)))
assert piece is not None
threading.Thread(target=hold, args=(planner, piece), daemon=True).start()
assert started.wait(10.0)
"""


def test_process_that_ends_while_a_thread_holds_a_motion_says_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", HELD_AT_EXIT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_takes_as_long_as_asked_when_that_is_longer() -> None:
    piece = JerkLimitedPlanner(2).reach(state(), np.array([0.1, -0.2]), np.zeros(2), LIMITS, 1.5)
    assert piece is not None
    assert piece.length == pytest.approx(1.5)


@given(velocities, velocities, st.floats(-1.0, 1.0), st.floats(-20.0, 20.0))
def test_arrives_in_the_asked_state_within_the_limits(begin: float, end: float, way: float, bend: float) -> None:
    piece = JerkLimitedPlanner(2).reach(state(0.0, begin, bend), np.full(2, way), np.full(2, end), LIMITS, 0.2)
    assert piece is not None
    np.testing.assert_allclose(piece.state(piece.length), state(way, end), atol=1e-7)
    samples = np.array([piece.state(time) for time in np.linspace(0.0, piece.length, 200)])
    assert (np.abs(samples[:, 1:]) <= LIMITS[:2] * (1.0 + 1e-6)).all()


@given(velocities)
def test_brakes_to_rest_in_the_least_time(velocity: float) -> None:
    piece = JerkLimitedPlanner(2).brake(state(0.3, velocity), LIMITS)
    assert piece is not None
    _, speed, acceleration = piece.state(piece.length)
    np.testing.assert_allclose([*speed, *acceleration], 0.0, atol=1e-6)
    ramped = abs(velocity) / 20.0 + 20.0 / 600.0
    shortest = ramped if abs(velocity) >= 400.0 / 600.0 else 2.0 * math.sqrt(abs(velocity) / 600.0)
    assert piece.length == pytest.approx(shortest, abs=1e-6)


@pytest.mark.parametrize("excess", [1e-12, 1e-9, 1e-7])
def test_a_state_beyond_a_limit_by_rounding_is_planned_from_all_the_same(excess: float) -> None:
    planner, beyond = JerkLimitedPlanner(2), 1.0 + excess
    at_speed = planner.reach(state(0.0, np.pi * beyond), np.full(2, 1.0), np.full(2, np.pi * beyond), LIMITS, 0.1)
    at_acceleration = planner.brake(state(0.0, 1.0, 20.0 * beyond), LIMITS)
    assert at_speed is not None
    assert at_acceleration is not None


def test_numbers_that_are_not_finite_have_no_piece() -> None:
    assert JerkLimitedPlanner(2).brake(state(0.0, math.nan), LIMITS) is None
