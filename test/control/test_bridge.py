"""Bridge semantics: golden numbers computed by hand, and exact inverses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.bridge import (
    DEFAULT_ROTATION,
    apply_delta,
    bridge_state,
    clip_action,
    delta_between,
    pose_from_state,
    state,
)
from dvla_ros.control.rotation import matrix_from_euler
from dvla_ros.control.workspace import BRIDGE_BOX, WorkspaceBox
from dvla_ros.errors import ActionError

EVERYWHERE = WorkspaceBox((-9.0, -9.0, -9.0), (9.0, 9.0, 9.0))


def pose(xyz: list[float], rotation: np.ndarray = DEFAULT_ROTATION) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = rotation, xyz
    return result


def triples(limit: float) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(-limit, limit), min_size=3, max_size=3)


poses = st.builds(lambda xyz, euler: pose(xyz, matrix_from_euler(np.array(euler))), triples(0.5), triples(1.5))
actions = st.builds(
    lambda xyz, euler, gripper: np.array([*xyz, *euler, gripper]), triples(0.05), triples(0.25), st.floats(0.0, 1.0)
)


def test_downward_gripper_has_zero_angles() -> None:
    np.testing.assert_allclose(state(pose([0.3, -0.09, 0.26]), 1.0), [0.3, -0.09, 0.26, 0, 0, 0, 1], atol=1e-12)


def test_forward_gripper_of_the_home_pose_is_pitched_up_by_a_quarter_turn() -> None:
    expected = [0.458325, 0.0, 0.36065, 0.0, -math.pi / 2, 0.0, 0.0]
    np.testing.assert_allclose(bridge_state(np.zeros(6), 0.015), expected, atol=1e-6)


def test_base_yaw_shows_as_yaw_of_the_state() -> None:
    turned = matrix_from_euler(np.array([0.0, 0.0, 0.4])) @ DEFAULT_ROTATION
    np.testing.assert_allclose(state(pose([0.3, 0.1, 0.2], turned), 0.5), [0.3, 0.1, 0.2, 0, 0, 0.4, 0.5], atol=1e-12)


def test_rotation_is_about_the_measured_end_effector() -> None:
    # The target leads the arm by 1 cm in x; a yaw of 0.25 rad about the arm swings that lead to the side:
    # 0.29 + 0.01 cos 0.25 + 0.02 and 0.01 sin 0.25.
    target, gripper = apply_delta(
        pose([0.30, 0.0, 0.2]), pose([0.29, 0.0, 0.2]), np.array([0.02, 0.0, 0.0, 0.0, 0.0, 0.25, 1.0]), BRIDGE_BOX
    )
    np.testing.assert_allclose(target[:3, 3], [0.3196891, 0.0024740, 0.18], atol=1e-7)
    sine, cosine = 0.2474040, 0.9689124
    expected = np.array([[0.0, -sine, cosine], [0.0, cosine, sine], [-1.0, 0.0, 0.0]])
    np.testing.assert_allclose(target[:3, :3], expected, atol=1e-7)
    assert gripper == 1.0


def test_translation_is_along_the_base_axes_and_adds_to_the_previous_target() -> None:
    turned = matrix_from_euler(np.array([0.3, 0.2, 1.0])) @ DEFAULT_ROTATION
    target, _ = apply_delta(
        pose([0.3, 0.1, 0.2], turned), pose([0.25, 0.0, 0.1]), np.array([0.01, -0.02, 0.03, 0, 0, 0, 0.5]), EVERYWHERE
    )
    np.testing.assert_allclose(target, pose([0.31, 0.08, 0.23], turned), atol=1e-12)


def test_action_is_clipped_before_it_is_applied() -> None:
    clipped = clip_action(np.array([0.08, -0.06, 0.01, 0.3, -1.0, 0.1, 1.2]))
    np.testing.assert_array_equal(clipped, [0.05, -0.05, 0.01, 0.25, -0.25, 0.1, 1.0])


def test_position_is_clipped_to_the_workspace_and_orientation_is_not() -> None:
    target, _ = apply_delta(
        pose([0.44, 0.0, 0.17]), pose([0.44, 0.0, 0.17]), np.array([0.05, 0, 0.05, 0, 0.25, 0, 0.0]), BRIDGE_BOX
    )
    np.testing.assert_array_equal(target[:3, 3], [0.45, 0.0, 0.18])
    np.testing.assert_allclose(target[:3, :3], matrix_from_euler(np.array([0, 0.25, 0])) @ DEFAULT_ROTATION)


@given(poses, poses, actions)
def test_delta_between_inverts_apply_delta(previous: np.ndarray, measured: np.ndarray, action: np.ndarray) -> None:
    target, gripper = apply_delta(previous, measured, action, EVERYWHERE)
    np.testing.assert_allclose(delta_between(previous, target, measured, gripper), action, atol=1e-9)


@given(poses, st.floats(0.0, 1.0))
def test_state_and_pose_are_inverse(start: np.ndarray, gripper: float) -> None:
    back, opening = pose_from_state(state(start, gripper))
    np.testing.assert_allclose(back, start, atol=1e-6)
    assert opening == gripper


def test_action_of_wrong_length_is_refused() -> None:
    with pytest.raises(ActionError, match=r"7 numbers .* got shape \[6\]"):
        apply_delta(np.eye(4), np.eye(4), np.zeros(6))
