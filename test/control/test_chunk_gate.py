"""The gate for chunks as they come: the right reason for each thing that may be wrong."""

import numpy as np
import pytest

from dvla_ros.control.action_space import Target
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.chunk_gate import check_form, check_start, check_steps, check_tracking
from dvla_ros.control.kinematics import forward
from dvla_ros.control.rotation import euler_from_matrix
from dvla_ros.control.safety import SafetyConfig

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
CONFIG = SafetyConfig()
BASE = Target(START, forward(START), 1.0)


def good_actions(mode: ControlMode) -> np.ndarray:
    """Eight rows that each mode may execute from START."""
    steps = np.outer(np.arange(1, 9), np.full(6, 0.01))
    if mode is ControlMode.JOINT_POSITION:
        rows = START + steps
    elif mode is ControlMode.EE_POSE:
        pose = forward(START)
        rows = np.tile(np.concatenate([pose[:3, 3], euler_from_matrix(pose[:3, :3])]), (8, 1))
        rows[:, :3] += steps[:, :3]
    else:
        rows = np.full((8, 6), 0.01)
    return np.column_stack([rows, np.ones(8)])


def form(actions: np.ndarray, stamp: float = 0.0, dt: float = 0.2) -> str:
    names = tuple(f"a{index}" for index in range(actions.shape[1]))
    chunk = ActionChunk(stamp, dt, actions.astype(np.float32), ControlMode.EE_DELTA, names)
    return check_form(chunk, CONFIG).reason


@pytest.mark.parametrize("mode", list(ControlMode))
def test_good_chunk_passes(mode: ControlMode) -> None:
    actions = good_actions(mode)
    assert form(actions) == ""
    assert check_start(actions[0], mode, BASE, CONFIG).accepted
    assert check_steps(actions, mode, 0.2, CONFIG).accepted


@pytest.mark.parametrize(
    ("row", "column", "value", "reason"),
    [
        (7, 2, np.nan, "not_finite"),
        (0, 5, -np.inf, "not_finite"),
        (6, 6, 1.5, "gripper_range"),
        (6, 6, -0.5, "gripper_range"),
    ],
)
def test_one_bad_number_is_enough(row: int, column: int, value: float, reason: str) -> None:
    actions = good_actions(ControlMode.EE_DELTA)
    actions[row, column] = value
    assert form(actions) == reason


@pytest.mark.parametrize(
    ("actions", "stamp", "dt", "reason"),
    [
        (np.zeros((8, 6)), 0.0, 0.2, "width"),
        (np.zeros((8, 8)), 0.0, 0.2, "width"),
        (np.zeros((8, 7)), 0.0, 0.0049, "dt"),
        (np.zeros((8, 7)), 0.0, 2.1, "dt"),
        (np.zeros((8, 7)), 0.0, np.inf, "dt"),
        (np.zeros((8, 7)), np.nan, 0.2, "not_finite"),
        (np.zeros((8, 7)), -np.inf, 0.2, "not_finite"),
        (np.zeros((201, 7)), 0.0, 0.2, "horizon"),
    ],
)
def test_sizes_and_times_out_of_range_are_named(actions: np.ndarray, stamp: float, dt: float, reason: str) -> None:
    assert form(actions, stamp, dt) == reason


def test_arm_far_from_its_command_is_found() -> None:
    assert check_tracking(START, START + 0.49, CONFIG).accepted
    verdict = check_tracking(START, START + np.array([0, 0, 0, 0.7, 0, 0]), CONFIG)
    assert verdict.reason == "start_jump" and "column 3" in verdict.detail


@pytest.mark.parametrize("mode", [ControlMode.JOINT_POSITION, ControlMode.EE_POSE])
def test_absolute_chunk_that_starts_elsewhere_is_found(mode: ControlMode) -> None:
    elsewhere = START + np.array([0.7, 0, 0, 0, 0, 0])
    base = Target(elsewhere, forward(elsewhere), 1.0)
    assert check_start(good_actions(mode)[0], mode, base, CONFIG).reason == "start_jump"


@pytest.mark.parametrize("mode", [ControlMode.JOINT_DELTA, ControlMode.EE_DELTA])
def test_increments_start_anywhere(mode: ControlMode) -> None:
    elsewhere = START + 0.7
    assert check_start(good_actions(mode)[0], mode, Target(elsewhere, forward(elsewhere), 1.0), CONFIG).accepted


@pytest.mark.parametrize("mode", list(ControlMode))
def test_one_great_step_is_found(mode: ControlMode) -> None:
    actions = good_actions(mode)
    actions[5, 0] += 5.0
    assert check_steps(actions, mode, 0.2, CONFIG).reason == "step"


def test_joint_rows_faster_than_the_arm_are_found() -> None:
    assert check_steps(good_actions(ControlMode.JOINT_DELTA), ControlMode.JOINT_DELTA, 0.002, CONFIG).reason == "step"


def test_poses_turned_too_far_are_found() -> None:
    actions = good_actions(ControlMode.EE_POSE)
    actions[4:, 3] += 0.6
    assert check_steps(actions, ControlMode.EE_POSE, 0.2, CONFIG).reason == "step"


def test_names_do_not_matter_for_the_width() -> None:
    chunk = ActionChunk(0.0, 0.2, np.zeros((1, 7), np.float32), ControlMode.EE_DELTA, ACTION_NAMES)
    assert check_form(chunk, CONFIG).accepted
