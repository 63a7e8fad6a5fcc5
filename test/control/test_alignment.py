"""Seams of absolute targets."""

import numpy as np
import pytest

from dvla_ros.control.action_space import Target, pose_from_action
from dvla_ros.control.alignment import seam_offset, shifted
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.rotation import euler_from_matrix, matrix_from_euler

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
BASE = Target(START, forward(START), 1.0)
SHIFT = np.array([0.02, -0.01, 0.03, 0.04, -0.02, 0.01])


def joint_rows(offset: np.ndarray) -> np.ndarray:
    """Rows that lead evenly away from START + offset."""
    return np.column_stack([START + offset + np.outer(np.arange(1, 5), np.full(6, 0.05)), np.ones(4)])


def pose_rows(shift: np.ndarray, turn: np.ndarray) -> np.ndarray:
    pose = forward(START)
    pose[:3, :3] = matrix_from_euler(turn) @ pose[:3, :3]
    row = np.concatenate([pose[:3, 3] + shift, euler_from_matrix(pose[:3, :3])])
    rows = np.tile(row, (4, 1))
    rows[:, :3] += np.outer(np.arange(1, 5), [0.01, 0.0, 0.0])
    return np.column_stack([rows, np.ones(4)])


def test_offset_of_joints_is_from_the_row_before_to_the_plan() -> None:
    rows = joint_rows(SHIFT)
    offset = seam_offset(rows, 2, ControlMode.JOINT_POSITION, BASE)
    assert offset is not None
    np.testing.assert_allclose(offset, START - rows[1, :6])


def test_first_row_of_all_is_taken_to_go_on_evenly() -> None:
    offset = seam_offset(joint_rows(SHIFT), 0, ControlMode.JOINT_POSITION, BASE)
    np.testing.assert_allclose(offset, -SHIFT, atol=1e-12)


def test_offset_of_poses_brings_the_believed_pose_to_the_planned_one() -> None:
    turn = np.array([0.05, 0.02, -0.1])
    offset = seam_offset(pose_rows(SHIFT[:3], turn), 0, ControlMode.EE_POSE, BASE)
    assert offset is not None
    np.testing.assert_allclose(offset[:3, 3], -SHIFT[:3], atol=1e-9)
    np.testing.assert_allclose(offset[:3, :3], matrix_from_euler(turn).T, atol=1e-9)


@pytest.mark.parametrize("mode", [ControlMode.JOINT_DELTA, ControlMode.EE_DELTA])
def test_increments_have_no_offset(mode: ControlMode) -> None:
    assert seam_offset(joint_rows(SHIFT), 1, mode, BASE) is None


def test_single_row_has_no_offset() -> None:
    assert seam_offset(joint_rows(SHIFT)[:1], 0, ControlMode.JOINT_POSITION, BASE) is None


def test_row_shifted_by_the_whole_offset_goes_on_from_the_plan() -> None:
    rows = joint_rows(SHIFT)
    offset = seam_offset(rows, 1, ControlMode.JOINT_POSITION, BASE)
    assert offset is not None
    np.testing.assert_allclose(shifted(rows[1], ControlMode.JOINT_POSITION, offset, 1.0)[:6], START + 0.05)
    np.testing.assert_allclose(shifted(rows[1], ControlMode.JOINT_POSITION, offset, 0.0), rows[1])


def test_shifted_pose_turns_by_its_part() -> None:
    rows = pose_rows(SHIFT[:3], np.array([0.0, 0.0, 0.2]))
    offset = seam_offset(rows, 1, ControlMode.EE_POSE, BASE)
    assert offset is not None
    for part in (0.0, 0.5, 1.0):
        pose = pose_from_action(shifted(rows[1], ControlMode.EE_POSE, offset, part))
        expected = forward(START)
        expected[:3, :3] = matrix_from_euler(np.array([0.0, 0.0, 0.2 * (1.0 - part)])) @ expected[:3, :3]
        expected[:3, 3] = rows[1, :3] + part * offset[:3, 3]
        np.testing.assert_allclose(pose, expected, atol=1e-9)
