"""Rows on another grid, and in other control modes."""

import numpy as np
import pytest

from dvla_ros.control.bridge import apply_delta
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import NEUTRAL
from dvla_ros.errors import RecordingError
from dvla_ros.recordings.actions.row_path import Rows
from dvla_ros.recordings.actions.row_track import RowTrack
from dvla_ros.recordings.actions.series import Series

DT = 0.2
STILL = Series(np.array([0.0, 9.0]), np.stack([NEUTRAL, NEUTRAL]), line_s=10.0, hold_s=0.0)
NOTHING = Series(np.empty(0), np.empty((0, 6)))


def track(actions, mode=ControlMode.EE_DELTA, measured=STILL, start=1.0):
    due = start + DT * np.arange(len(actions))
    rows = Rows(due, due + DT, np.full(len(actions), DT), np.asarray(actions, np.float32), mode)
    return RowTrack("rows", rows, measured)


def increments(count=8):
    actions = np.zeros((count, 7))
    actions[:, 0], actions[:, 6] = 0.01 * (1 + np.arange(count)), 1.0
    return actions


def test_between_two_rows_increments_are_shared_out_by_time():
    halfway = track(increments()).rows(1.1, DT, 3, ControlMode.EE_DELTA)
    np.testing.assert_allclose(halfway[:, 0], [0.015, 0.025, 0.035], rtol=1e-6)


def test_a_coarser_grid_adds_increments_up():
    coarse = track(increments()).rows(1.0, 2 * DT, 4, ControlMode.EE_DELTA)
    np.testing.assert_allclose(coarse[:, 0], [0.03, 0.07, 0.11, 0.15], rtol=1e-6)


def test_where_rows_cover_too_little_nothing_is_known():
    late = track(increments()).rows(1.0 + 7.5 * DT, DT, 1, ControlMode.EE_DELTA)
    assert np.isnan(late).all()


def test_increments_become_poses_from_where_the_arm_was():
    pose = track(increments()).rows(1.0, DT, 1, ControlMode.EE_POSE)[0]
    expected = forward(NEUTRAL)[:3, 3] + [0.01, 0.0, 0.0]
    np.testing.assert_allclose(pose[:3], expected, atol=1e-7)


def test_increments_become_joints_that_reach_the_poses():
    joints = track(0.2 * increments()).rows(1.0, DT, 4, ControlMode.JOINT_POSITION)[:, :6]
    pose = forward(NEUTRAL)
    for row, target in zip(0.2 * increments(4).astype(np.float32).astype(float), joints, strict=True):
        pose, _ = apply_delta(pose, forward(NEUTRAL), [*row[:6], 1.0] * np.ones(7))
        np.testing.assert_allclose(forward(target), pose, atol=1e-3)


@pytest.mark.parametrize("mode", [ControlMode.JOINT_DELTA, ControlMode.JOINT_POSITION])
def test_joint_rows_become_increments_of_the_end_effector(mode):
    steps = np.zeros((4, 7))
    steps[:, 0], steps[:, 6] = 0.05, 1.0
    actions = steps.copy()
    if mode is ControlMode.JOINT_POSITION:
        actions[:, :6] = NEUTRAL + np.cumsum(steps[:, :6], axis=0)
    found = track(actions, mode).rows(1.0, DT, 4, ControlMode.EE_DELTA)
    np.testing.assert_allclose(found[:, 5], 0.05, atol=1e-6)  # the waist turns about the vertical
    np.testing.assert_allclose(found[:, 6], 1.0)


def test_joint_positions_on_another_grid_lie_between_the_rows():
    actions = np.tile(np.append(NEUTRAL, 1.0), (4, 1))
    actions[:, 0] = [0.1, 0.2, 0.3, 0.4]
    found = track(actions, ControlMode.JOINT_POSITION).rows(1.1, DT, 3, ControlMode.JOINT_POSITION)
    np.testing.assert_allclose(found[:, 0], [0.15, 0.25, 0.35], atol=1e-6)


def test_increments_without_joint_states_keep_their_own_mode_only():
    lonely = track(increments(), measured=NOTHING)
    np.testing.assert_allclose(lonely.rows(1.0, DT, 8, ControlMode.EE_DELTA), increments(), rtol=1e-6)
    with pytest.raises(RecordingError, match="only with the joint states"):
        lonely.rows(1.0, DT, 8, ControlMode.JOINT_POSITION)
