"""LIBERO's units and frames, as the published evaluations have them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from dvla_ros.errors import ActionError
from dvla_ros.evaluation.libero.conventions import axis_angle, bridge_state, controller_rows, libero_state
from dvla_ros.evaluation.libero.simulator import Look

PICTURE = np.zeros((16, 16, 3), np.uint8)
DOWN = np.array([1.0, 0.0, 0.0, 0.0])
"""Panda's hand points straight down: half a turn about x."""


def look(quaternion=DOWN, fingers=(0.04, -0.04)):
    arrays = (np.array(values, float) for values in ((-0.21, 0.01, 1.17), quaternion, fingers, (-0.66, 0.0, 0.91)))
    return Look(PICTURE, PICTURE, *arrays)


def rows(values):
    return np.array([values], np.float32)


@given(hnp.arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_a_rotation_vector_is_the_rotation_of_its_quaternion(quaternion):
    quaternion = quaternion / np.linalg.norm(quaternion)
    expected = Rotation.from_quat(quaternion).as_matrix()
    np.testing.assert_allclose(Rotation.from_rotvec(axis_angle(quaternion)).as_matrix(), expected, atol=1e-6)


def test_a_rotation_vector_has_the_length_that_robosuite_gives_it():
    """Values of robosuite 1.4 for the pose after the first steps of a task: 3.29 rad, more than half a turn."""
    seen = axis_angle(np.array([0.99319089, 0.08347198, 0.03804644, -0.0718106]))
    np.testing.assert_allclose(seen, [3.2714132, 0.27494345, 0.12531893], atol=1e-6)
    assert axis_angle(np.array([0.0, 0.0, 0.0, 1.0])).tolist() == [0, 0, 0]


def test_the_state_of_libero_is_position_rotation_vector_and_both_fingers():
    np.testing.assert_allclose(libero_state(look()), [-0.21, 0.01, 1.17, math.pi, 0, 0, 0.04, -0.04])


def test_the_bridge_state_starts_from_the_foot_and_is_level_when_the_hand_points_down():
    np.testing.assert_allclose(bridge_state(look()), [0.45, 0.01, 0.26, 0, 0, 0, 1], atol=1e-12)
    turned = (Rotation.from_euler("z", 0.3) * Rotation.from_quat(DOWN)).as_quat()
    np.testing.assert_allclose(bridge_state(look(turned, (0.001, -0.001)))[3:], [0, 0, 0.3, 0.025], atol=1e-9)


@pytest.mark.parametrize(("opening", "command"), [(1.0, -1.0), (0.9, -1.0), (0.4, 1.0), (0.0, 1.0)])
def test_one_opens_the_gripper_of_a_policy_and_minus_one_that_of_libero(opening, command):
    assert controller_rows(rows([0, 0, 0, 0, 0, 0, opening]))[0, -1] == command


def test_increments_are_in_units_of_five_centimetres_and_half_a_radian():
    found = controller_rows(rows([0.05, -0.025, 0.1, 0.5, -0.25, -2.0, 1.0]))
    np.testing.assert_allclose(found, [[1.0, -0.5, 1.0, 1.0, -0.5, -1.0, -1.0]], atol=1e-6)
    assert found.dtype == np.float64


@pytest.mark.parametrize("actions", [np.zeros((2, 6)), np.zeros(7), np.full((1, 7), np.nan)])
def test_rows_that_cannot_be_executed_are_refused(actions):
    with pytest.raises(ActionError, match=r"finite rows \[n, 7\]"):
        controller_rows(actions)
