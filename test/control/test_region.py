"""Where the arm may be: inside, or no further out than it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.kinematics import forward
from dvla_ros.control.region import Region, motion_region, path_region
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.widowx import SLEEP, UPPER

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
CONFIG = SafetyConfig()
X, Y, Z = forward(START)[:3, 3]


def boxed(upper_y: float) -> SafetyConfig:
    return SafetyConfig(workspace_lower=(0.1, -0.3, -0.01), workspace_upper=(0.5, upper_y, 0.4))


def test_joints_and_end_effector_inside_pass() -> None:
    region = Region(CONFIG)
    assert region.check(np.stack([START, START + 0.05]), region.outside(START)).accepted


def test_first_joint_beyond_its_margin_is_named() -> None:
    region, joints = Region(CONFIG), np.tile(START, (3, 1))
    joints[2, 5] = UPPER[5] - CONFIG.joint_margin + 1e-3
    index, why = region.failing(joints, region.outside(START))
    assert (index, why.reason) == (2, "joint_limit")
    assert "Joint 5" in why.detail


def test_end_effector_may_use_the_slack_of_the_box_and_no_more() -> None:
    inside, outside = boxed(Y - 0.0019), boxed(Y - 0.0021)
    for config, accepted in ((inside, True), (outside, False)):
        region = Region(config)
        allowed = region.outside(np.zeros(6))
        verdict = region.check(START[None], allowed)
        assert verdict.accepted is accepted
        assert verdict.reason == ("" if accepted else "workspace")


@given(st.lists(st.floats(-3.2, 3.2), min_size=6, max_size=6), st.booleans())
def test_one_command_is_judged_as_many_are(values: list[float], begins_there: bool) -> None:
    region, joints = Region(CONFIG), np.array(values)
    allowed = region.outside(joints if begins_there else START)
    assert region.check_one(joints, allowed) == region.check(joints[None], allowed)


def test_arm_outside_may_stay_or_come_back_but_not_go_on() -> None:
    config = boxed(Y - 0.05)
    region = Region(config)
    allowed = region.outside(START)
    assert allowed.box == pytest.approx(0.05)
    turn = np.array([0.02, 0, 0, 0, 0, 0])
    assert region.check(np.stack([START, START - turn]), allowed).accepted
    assert region.check((START + turn)[None], allowed).reason == "workspace"


def test_joint_outside_may_come_back_but_not_go_on() -> None:
    region, out = Region(CONFIG), START.copy()
    out[4] = UPPER[4]
    allowed = region.outside(out)
    assert allowed.joints[4] == pytest.approx(CONFIG.joint_margin)
    for shift, accepted in ((-0.01, True), (0.0, True), (0.001, False)):
        assert region.check((out + np.array([0, 0, 0, 0, shift, 0]))[None], allowed).accepted is accepted


def test_sleep_pose_is_inside_the_joint_ranges() -> None:
    assert not Region(CONFIG).outside(SLEEP).joints.any()


def test_waypoints_keep_more_room_than_motion_and_motion_more_than_commands() -> None:
    joints = START.copy()
    accepted = []
    for room in (0.0005, 0.005, 0.015):
        joints[5] = UPPER[5] - CONFIG.joint_margin - room
        allowed = Region(CONFIG).outside(START)
        regions = (Region(CONFIG), motion_region(CONFIG), path_region(CONFIG))
        accepted.append([region.check(joints[None], allowed).accepted for region in regions])
    assert accepted == [[True, False, False], [True, True, False], [True, True, True]]


def test_clipped_joints_are_inside() -> None:
    region = Region(CONFIG)
    clipped = region.clip(START + 9.0)
    assert not region.outside(clipped).joints.any()
    np.testing.assert_array_equal(region.clip(START), START)


@pytest.mark.parametrize("joint", range(6))
def test_what_is_not_a_number_is_outside(joint: int) -> None:
    region, joints = Region(CONFIG), np.tile(START, (3, 1))
    joints[1, joint] = np.nan
    assert region.failing(joints, region.outside(START))[0] == 1
    assert not region.check_one(joints[1], region.outside(START)).accepted
