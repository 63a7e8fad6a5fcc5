"""Errors of the arm become small velocities that take them back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import NEUTRAL
from dvla_ros.nodes.backends.servo_tracking import GAIN, CommandHistory, correction, pose_difference

numbers = st.floats(-1.0, 1.0)
vectors = st.lists(numbers, min_size=3, max_size=3).map(np.array)


def turned(axis, angle):
    """Rotation matrix about a coordinate axis."""
    cross = np.zeros((3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    cross[j, i], cross[i, j] = 1.0, -1.0
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_turn_about_an_axis_of_the_base_is_that_axis_times_its_angle(axis):
    start = forward(NEUTRAL)
    end = start.copy()
    end[:3, :3] = turned(axis, 0.4) @ start[:3, :3]
    end[:3, 3] += (0.01, -0.02, 0.03)
    np.testing.assert_allclose(pose_difference(start, end), [0.01, -0.02, 0.03, *(0.4 * np.eye(3)[axis])], atol=1e-9)


def test_the_shorter_way_round_is_taken():
    start, end = np.eye(4), np.eye(4)
    end[:3, :3] = turned(2, 6.0)
    np.testing.assert_allclose(pose_difference(start, end)[3:], [0.0, 0.0, 6.0 - 2.0 * np.pi], atol=1e-9)


@given(vectors)
def test_a_correction_points_to_the_error_and_keeps_its_limit(error):
    velocity = correction(error, 0.3)
    assert np.linalg.norm(velocity) <= 0.3 + 1e-12
    np.testing.assert_allclose(np.cross(velocity, error), 0.0, atol=1e-9)
    assert velocity @ error >= 0.0


def test_a_small_error_is_taken_back_in_proportion():
    np.testing.assert_allclose(correction(np.array([0.01, 0.0, 0.0]), 0.3), [GAIN * 0.01, 0.0, 0.0])


def test_the_arm_is_compared_with_what_was_commanded_one_lag_ago():
    history = CommandHistory(lag_s=0.1)
    for tick in range(50):
        history.add(np.full(6, 0.02 * tick), 0.02 * tick)
    np.testing.assert_allclose(history.due, 0.02 * 49 - 0.1, atol=1e-9)


def test_right_after_the_start_it_is_compared_with_the_first_command():
    history = CommandHistory(lag_s=0.1)
    history.add(np.zeros(6), 5.0)
    history.add(np.ones(6), 5.02)
    np.testing.assert_array_equal(history.due, 0.0)


def test_a_clock_that_went_back_begins_anew():
    history = CommandHistory(lag_s=0.1)
    history.add(np.zeros(6), 100.0)
    history.add(np.ones(6), 90.0)
    np.testing.assert_array_equal(history.due, 1.0)
