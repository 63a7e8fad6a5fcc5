"""Forward and inverse kinematics of the WidowX 250s."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.kinematics import WidowXKinematics, arm_model, forward, position_of, positions_of
from dvla_ros.control.rotation import rotation_angle
from dvla_ros.control.widowx import LOWER, NEUTRAL, UPPER
from dvla_ros.errors import KinematicsError

KINEMATICS = WidowXKinematics()


def offsets(limit: float) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.floats(-limit, limit), min_size=6, max_size=6).map(np.array)


def test_home_pose_is_the_one_of_the_description() -> None:
    pose = forward(np.zeros(6))
    np.testing.assert_allclose(pose[:3, :3], np.eye(3), atol=1e-9)
    np.testing.assert_allclose(pose[:3, 3], [0.458325, 0.0, 0.36065], atol=1e-6)


@given(st.lists(offsets(1.5), min_size=1, max_size=4))
def test_positions_of_many_joints_are_those_of_each(joints: list[np.ndarray]) -> None:
    expected = [forward(each)[:3, 3] for each in joints]
    np.testing.assert_allclose(positions_of(np.stack(joints)), expected, atol=1e-12)
    np.testing.assert_allclose([position_of(each) for each in joints], expected, atol=1e-12)


@given(offsets(1.5))
def test_forward_agrees_with_mujoco(joints: np.ndarray) -> None:
    data = mujoco.MjData(arm_model())
    data.qpos = joints
    mujoco.mj_kinematics(arm_model(), data)
    np.testing.assert_allclose(forward(joints)[:3, 3], data.site("ee").xpos, atol=1e-9)
    np.testing.assert_allclose(forward(joints)[:3, :3].ravel(), data.site("ee").xmat, atol=1e-9)


@given(offsets(0.4), offsets(0.12))
def test_small_steps_are_solved_near_the_seed(start: np.ndarray, step: np.ndarray) -> None:
    seed = np.clip(NEUTRAL + start, LOWER, UPPER)
    pose = forward(np.clip(seed + step, LOWER, UPPER))
    joints = KINEMATICS.inverse(pose, seed)
    assert np.linalg.norm(forward(joints)[:3, 3] - pose[:3, 3]) < 1e-3
    assert rotation_angle(forward(joints)[:3, :3], pose[:3, :3]) < 1e-2
    assert np.max(np.abs(joints - seed)) < 1.0


@given(offsets(0.9))
def test_answers_stay_within_the_joint_limits(step: np.ndarray) -> None:
    pose = forward(np.clip(NEUTRAL + step, LOWER, UPPER))
    joints = KINEMATICS.inverse(pose, NEUTRAL)
    assert np.all(joints >= arm_model().jnt_range[:, 0]) and np.all(joints <= arm_model().jnt_range[:, 1])


def test_unreachable_pose_is_named_with_the_remaining_error() -> None:
    pose = forward(NEUTRAL)
    pose[:3, 3] = [1.5, 0.0, 0.2]
    with pytest.raises(KinematicsError, match=r"\(1\.500, 0\.000, 0\.200\) m .* mm and .* rad remain"):
        KINEMATICS.inverse(pose, NEUTRAL)


def test_pose_beyond_a_joint_limit_is_refused() -> None:
    beyond = NEUTRAL.copy()
    beyond[4] = UPPER[4] + 0.2
    with pytest.raises(KinematicsError):
        KINEMATICS.inverse(forward(beyond), NEUTRAL)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(KinematicsError, match="finite"):
        KINEMATICS.inverse(np.full((4, 4), np.nan), NEUTRAL)
