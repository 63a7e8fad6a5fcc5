"""Poses between poses: ends, constant speed, the shorter way, and half turns."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.pose_interpolation import (
    matrix_from_quaternion,
    pose_between,
    quaternion_from_matrix,
    slerp,
)
from dvla_ros.control.rotation import matrix_from_euler, rotation_angle

angles = st.lists(st.floats(-math.pi, math.pi), min_size=3, max_size=3).map(np.array)
positions = st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3).map(np.array)
weights = st.floats(0.0, 1.0)

HALF_TURNS = [np.diag([1.0, -1.0, -1.0]), np.diag([-1.0, 1.0, -1.0]), np.diag([-1.0, -1.0, 1.0])]


def pose(euler: np.ndarray, position: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = matrix_from_euler(euler), position
    return matrix


def about_z(angle: float) -> np.ndarray:
    return pose(np.array([0.0, 0.0, angle]), np.zeros(3))


@given(angles)
def test_quaternion_and_matrix_are_inverse(euler: np.ndarray) -> None:
    rotation = matrix_from_euler(euler)
    quaternion = quaternion_from_matrix(rotation)
    assert np.linalg.norm(quaternion) == pytest.approx(1.0)
    assert quaternion[3] >= 0.0
    np.testing.assert_allclose(matrix_from_quaternion(quaternion), rotation, atol=1e-12)


@pytest.mark.parametrize("rotation", HALF_TURNS)
def test_half_turns_have_quaternions(rotation: np.ndarray) -> None:
    np.testing.assert_allclose(matrix_from_quaternion(quaternion_from_matrix(rotation)), rotation, atol=1e-15)


def test_quaternions_are_written_xyzw() -> None:
    quaternion = quaternion_from_matrix(matrix_from_euler(np.array([0.0, 0.0, 0.4])))
    np.testing.assert_allclose(quaternion, [0.0, 0.0, math.sin(0.2), math.cos(0.2)])


@given(angles, positions, angles, positions)
def test_begins_at_the_first_pose_and_ends_at_the_second(
    euler_a: np.ndarray, at_a: np.ndarray, euler_b: np.ndarray, at_b: np.ndarray
) -> None:
    a, b = pose(euler_a, at_a), pose(euler_b, at_b)
    np.testing.assert_allclose(pose_between(a, b, 0.0), a, atol=1e-9)
    np.testing.assert_allclose(pose_between(a, b, 1.0), b, atol=1e-9)


@given(angles, angles, weights)
def test_turns_at_constant_speed_on_the_shorter_way(euler_a: np.ndarray, euler_b: np.ndarray, weight: float) -> None:
    a, b = matrix_from_euler(euler_a), matrix_from_euler(euler_b)
    between = pose_between(pose(euler_a, np.zeros(3)), pose(euler_b, np.zeros(3)), weight)[:3, :3]
    whole = rotation_angle(a, b)
    assert whole <= math.pi
    assert rotation_angle(a, between) == pytest.approx(weight * whole, abs=1e-6)
    assert rotation_angle(between, b) == pytest.approx((1.0 - weight) * whole, abs=1e-6)


@given(angles, positions, angles, positions, weights)
def test_is_a_pose_whose_position_lies_on_the_straight_line(
    euler_a: np.ndarray, at_a: np.ndarray, euler_b: np.ndarray, at_b: np.ndarray, weight: float
) -> None:
    between = pose_between(pose(euler_a, at_a), pose(euler_b, at_b), weight)
    np.testing.assert_allclose(between[:3, :3] @ between[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(between[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_allclose(between[:3, 3], at_a + weight * (at_b - at_a), atol=1e-12)
    np.testing.assert_array_equal(between[3], [0.0, 0.0, 0.0, 1.0])


@given(angles, angles, angles, weights)
def test_does_not_depend_on_the_frame(
    euler_a: np.ndarray, euler_b: np.ndarray, euler_frame: np.ndarray, weight: float
) -> None:
    a, b, frame = (pose(euler, np.zeros(3)) for euler in (euler_a, euler_b, euler_frame))
    if rotation_angle(a[:3, :3], b[:3, :3]) > math.pi - 1e-3:
        return  # both ways round are equally long
    turned = pose_between(frame @ a, frame @ b, weight)
    np.testing.assert_allclose(turned, frame @ pose_between(a, b, weight), atol=1e-6)


def test_crosses_the_seam_of_the_angles_on_the_short_way() -> None:
    between = pose_between(about_z(math.pi - 0.1), about_z(-math.pi + 0.3), 0.5)
    np.testing.assert_allclose(between, about_z(-math.pi + 0.1), atol=1e-12)


@pytest.mark.parametrize("rotation", HALF_TURNS)
def test_a_half_turn_goes_through_a_quarter_turn(rotation: np.ndarray) -> None:
    b = np.eye(4)
    b[:3, :3] = rotation
    between = pose_between(np.eye(4), b, 0.5)[:3, :3]
    assert rotation_angle(np.eye(3), between) == pytest.approx(math.pi / 2.0)
    assert rotation_angle(between, rotation) == pytest.approx(math.pi / 2.0)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-9, 1e-7])
def test_tiny_turns_lose_no_digits(angle: float) -> None:
    between = pose_between(about_z(0.0), about_z(angle), 0.5)
    assert between[1, 0] == pytest.approx(0.5 * angle, rel=1e-6, abs=1e-18)


def test_opposite_signs_of_a_quaternion_are_one_rotation() -> None:
    a, b = np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, 0.0, -math.sin(0.2), -math.cos(0.2)])
    np.testing.assert_allclose(slerp(a, b, 0.5), [0.0, 0.0, math.sin(0.1), math.cos(0.1)])
