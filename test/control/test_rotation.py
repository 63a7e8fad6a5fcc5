"""Euler angles: golden order of rotations, round trips, the singular pitch."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.rotation import euler_from_matrix, matrix_from_euler, rotation_angle

angle = st.floats(-math.pi + 1e-6, math.pi - 1e-6)
pitch = st.floats(-math.pi / 2 + 1e-2, math.pi / 2 - 1e-2)


def test_roll_turns_before_yaw() -> None:
    rotation = matrix_from_euler(np.array([math.pi / 2, 0.0, math.pi / 2]))
    np.testing.assert_allclose(rotation, [[0, 0, 1], [1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_pitch_turns_before_yaw() -> None:
    rotation = matrix_from_euler(np.array([0.0, math.pi / 2, math.pi / 2]))
    np.testing.assert_allclose(rotation, [[0, -1, 0], [0, 0, 1], [-1, 0, 0]], atol=1e-12)


@given(angle, pitch, angle)
def test_angles_survive_the_round_trip(roll: float, middle: float, yaw: float) -> None:
    euler = np.array([roll, middle, yaw])
    np.testing.assert_allclose(euler_from_matrix(matrix_from_euler(euler)), euler, atol=1e-9)


@given(angle, st.sampled_from([-math.pi / 2, math.pi / 2]), angle)
def test_matrix_survives_the_round_trip_at_the_singular_pitch(roll: float, middle: float, yaw: float) -> None:
    rotation = matrix_from_euler(np.array([roll, middle, yaw]))
    euler = euler_from_matrix(rotation)
    assert euler[2] == 0.0
    np.testing.assert_allclose(matrix_from_euler(euler), rotation, atol=1e-6)


@given(st.floats(0.0, math.pi), angle, pitch, angle)
def test_rotation_angle_is_that_of_the_turn_between(turn: float, roll: float, middle: float, yaw: float) -> None:
    a = matrix_from_euler(np.array([roll, middle, yaw]))
    b = a @ matrix_from_euler(np.array([0.0, 0.0, turn]))
    assert abs(rotation_angle(a, b) - turn) < 1e-6
