"""The numbers of the arm agree with each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.widowx import (
    FINGER_CLOSED,
    FINGER_OPEN,
    LOWER,
    NEUTRAL,
    SLEEP,
    UPPER,
    finger_from_gripper,
    gripper_from_finger,
)


@given(st.floats(0.0, 1.0))
def test_gripper_and_finger_are_inverse_within_the_stroke(opening):
    assert gripper_from_finger(finger_from_gripper(opening)) == pytest.approx(opening)


@pytest.mark.parametrize(("opening", "finger"), [(-1.0, FINGER_CLOSED), (0.0, 0.015), (1.0, 0.037), (9.0, FINGER_OPEN)])
def test_the_finger_stays_within_its_stroke(opening, finger):
    assert finger_from_gripper(opening) == finger


@pytest.mark.parametrize(("finger", "opening"), [(0.0, 0.0), (0.026, 0.5), (1.0, 1.0)])
def test_the_opening_stays_between_0_and_1(finger, opening):
    assert gripper_from_finger(finger) == pytest.approx(opening)


@pytest.mark.parametrize("pose", [SLEEP, NEUTRAL])
def test_the_named_poses_lie_within_the_joint_limits(pose):
    assert (pose > LOWER).all() and (pose < UPPER).all()
