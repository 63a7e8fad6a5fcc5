"""The gate: a chunk is accepted or rejected as a whole, with the right reason."""

from typing import Any

import numpy as np
import pytest

from dvla_ros.control.action_space import Target
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.rotation import euler_from_matrix
from dvla_ros.control.safety import SafetyConfig, SafetyGate
from dvla_ros.control.verdict import Verdict
from dvla_ros.control.widowx import SLEEP, UPPER
from dvla_ros.control.workspace import WorkspaceBox
from dvla_ros.errors import ConfigurationError

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
GATE = SafetyGate(SafetyConfig())


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


def check(mode: ControlMode, actions: np.ndarray, measured: np.ndarray | None = START, first: int = 0) -> Verdict:
    names = tuple(f"a{index}" for index in range(actions.shape[1]))
    chunk = ActionChunk(0.0, 0.2, actions.astype(np.float32), mode, names)
    return GATE.check_chunk(chunk, first, measured, START)


@pytest.mark.parametrize("mode", list(ControlMode))
def test_good_chunk_is_accepted(mode: ControlMode) -> None:
    assert check(mode, good_actions(mode)).accepted


@pytest.mark.parametrize("mode", list(ControlMode))
@pytest.mark.parametrize(
    ("row", "column", "value", "reason"),
    [
        (7, 2, np.nan, "not_finite"),
        (6, 6, 1.5, "gripper_range"),
        (6, 6, -0.5, "gripper_range"),
        (5, 0, 5.0, {"JOINT_POSITION": "step", "JOINT_DELTA": "step", "EE_POSE": "workspace", "EE_DELTA": "step"}),
    ],
)
def test_one_bad_number_rejects_the_whole_chunk(
    mode: ControlMode, row: int, column: int, value: float, reason: str | dict[str, str]
) -> None:
    actions = good_actions(mode)
    actions[row, column] = value
    assert check(mode, actions).reason == (reason if isinstance(reason, str) else reason[mode.name])


@pytest.mark.parametrize("mode", list(ControlMode))
def test_row_of_another_width_is_rejected(mode: ControlMode) -> None:
    assert check(mode, good_actions(mode)[:, :6]).reason == "width"


@pytest.mark.parametrize("mode", list(ControlMode))
def test_chunk_that_starts_away_from_the_arm_is_rejected(mode: ControlMode) -> None:
    assert check(mode, good_actions(mode), measured=START + np.array([0.7, 0, 0, 0, 0, 0])).reason == "start_jump"


@pytest.mark.parametrize("mode", [ControlMode.JOINT_POSITION, ControlMode.EE_POSE])
def test_absolute_chunk_needs_a_measurement(mode: ControlMode) -> None:
    assert check(mode, good_actions(mode), measured=None).reason == "no_measurement"


def test_rows_that_are_over_do_not_count() -> None:
    actions = good_actions(ControlMode.JOINT_POSITION)
    actions[0, 0] += 2.0
    assert check(ControlMode.JOINT_POSITION, actions).reason == "start_jump"
    assert check(ControlMode.JOINT_POSITION, actions, first=1).accepted


def test_joint_target_within_the_margin_of_its_limit_is_rejected() -> None:
    actions = np.tile([*START, 1.0], (8, 1))
    actions[:, 2] = np.linspace(START[2], UPPER[2] - 0.005, 8)
    assert check(ControlMode.JOINT_POSITION, actions).reason == "joint_limit"


def test_joint_rows_faster_than_the_arm_are_rejected() -> None:
    actions = good_actions(ControlMode.JOINT_DELTA)
    chunk = ActionChunk(0.0, 0.002, actions.astype(np.float32), ControlMode.JOINT_DELTA, ACTION_NAMES)
    assert GATE.check_chunk(chunk, 0, START, START).reason == "step"


def test_neighbouring_poses_far_apart_are_rejected() -> None:
    actions = good_actions(ControlMode.EE_POSE)
    actions[4:, 1] -= 0.2
    assert check(ControlMode.EE_POSE, actions).reason == "step"


def target(joints: np.ndarray) -> Target:
    return Target(joints, forward(joints), 1.0)


def test_target_beyond_step_limit_joint_limit_or_workspace_is_rejected() -> None:
    turned, raised = START.copy(), START.copy()
    turned[3] += 0.7
    assert GATE.check_target(target(turned), target(START)).reason == "joint_step"
    raised[4] = UPPER[4]
    assert GATE.check_target(target(raised), target(raised - 0.1)).reason == "joint_limit"
    tight = SafetyGate(SafetyConfig(workspace=WorkspaceBox((0.1, -0.01, 0.0), (0.5, 0.05, 0.4))))
    aside = START + np.array([0.4, 0, 0, 0, 0, 0])
    assert tight.check_target(target(aside), target(START)).reason == "workspace"
    assert tight.check_target(target(aside - [0.1, 0, 0, 0, 0, 0]), target(aside)).accepted


def test_command_is_limited_by_the_time_since_the_last_one() -> None:
    ahead = START + 0.06
    assert GATE.check_command(ahead, 1.0, START, 0.02).accepted
    assert GATE.check_command(ahead, 1.0, START, 0.018).reason == "joint_velocity"


def test_command_that_is_not_finite_or_out_of_range_is_refused() -> None:
    assert GATE.check_command(np.full(6, np.nan), 1.0, START, 0.02).reason == "not_finite"
    assert GATE.check_command(START, float("nan"), START, 0.02).reason == "not_finite"
    assert GATE.check_command(START, 1.01, START, 0.02).reason == "gripper_range"


def test_resting_in_the_sleep_pose_is_allowed() -> None:
    assert GATE.check_command(SLEEP, 0.0, SLEEP, 0.02).accepted


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("joint_velocity", (0.0,) * 6),
        ("joint_lower", (0.0,) * 5),
        ("joint_lower", (3.0,) * 6),
        ("joint_margin", -0.1),
        ("max_joint_step", float("nan")),
        ("max_start_jump", 0.0),
    ],
)
def test_impossible_limits_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError):
        SafetyConfig(**{field: value})
