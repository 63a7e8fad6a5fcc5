"""The last look at every command."""

import numpy as np
import pytest

from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.tick_check import TickCheck
from dvla_ros.control.widowx import SLEEP, UPPER

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
TICK = 0.02


def checked(joints: np.ndarray = START, gripper: float = 1.0) -> TickCheck:
    return TickCheck(SafetyConfig(), joints, gripper)


def test_resting_is_allowed_anywhere() -> None:
    assert checked(SLEEP).check(SLEEP, 1.0, TICK).accepted


@pytest.mark.parametrize(
    ("joints", "gripper", "reason"),
    [
        (np.full(6, np.nan), 1.0, "not_finite"),
        (START, float("nan"), "gripper_range"),
        (START, 1.01, "gripper_range"),
        (START, 0.8, "gripper_speed"),
        (START + 0.07, 1.0, "joint_velocity"),
        (START + 0.02, 1.0, "joint_acceleration"),
        (np.where(np.arange(6) == 5, UPPER, START), 1.0, "joint_limit"),
        (np.array([1.5, -0.3, 0.6, 0.05, 1.2, 0.0]), 1.0, "workspace"),
    ],
)
def test_what_must_not_be_sent_is_named(joints: np.ndarray, gripper: float, reason: str) -> None:
    assert checked().check(joints, gripper, TICK).reason == reason


def test_speed_within_the_limits_passes_and_the_sudden_stop_after_it_does_not() -> None:
    check, joints = checked(), START.copy()
    for speed in 0.3 * np.arange(1, 6):  # 15 rad/s²
        joints = joints + np.array([speed * TICK, 0, 0, 0, 0, 0])
        assert check.check(joints, 1.0, TICK).accepted
    assert check.check(joints, 1.0, TICK).reason == "joint_acceleration"


def test_refused_command_does_not_count_as_sent() -> None:
    check = checked()
    assert not check.check(START + 1.0, 1.0, TICK).accepted
    assert check.check(START, 1.0, TICK).accepted


def test_after_a_pause_the_change_of_speed_is_unknown() -> None:
    check = checked()
    joints = START + np.array([0.005, 0, 0, 0, 0, 0])
    assert check.check(joints, 1.0, TICK).accepted
    joints = joints + np.array([0.012, 0, 0, 0, 0, 0])
    assert check.check(joints, 1.0, TICK).accepted
    check.pause()
    assert check.check(joints, 1.0, TICK).accepted  # a change of 0.6 rad/s


def test_two_commands_at_one_time_must_be_the_same() -> None:
    assert checked().check(START, 1.0, 0.0).accepted
    assert checked().check(START + 0.001, 1.0, 0.0).reason == "joint_velocity"


def test_motion_from_outside_may_stay_as_far_out() -> None:
    out = np.where(np.arange(6) == 5, UPPER, START)
    check = checked()
    assert check.check(out, 1.0, 10.0).reason == "joint_limit"
    check.allow(START, out)
    assert check.check(out, 1.0, 10.0).accepted
    further = np.where(np.arange(6) == 5, UPPER + 1e-4, START)
    assert check.check(further, 1.0, 10.0).reason == "joint_limit"
