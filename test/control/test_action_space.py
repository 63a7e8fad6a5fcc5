"""The four control modes lead to the same joints when they ask for the same motion."""

import numpy as np
import pytest

from dvla_ros.control.action_space import Target, next_target, pose_from_action
from dvla_ros.control.bridge import delta_between
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import WidowXKinematics, forward
from dvla_ros.control.rotation import euler_from_matrix
from dvla_ros.control.workspace import TABLETOP_BOX
from dvla_ros.errors import KinematicsError

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
GOAL = START + np.array([0.05, 0.04, -0.03, 0.02, 0.03, -0.06])
KINEMATICS = WidowXKinematics()


def action_for(mode: ControlMode) -> np.ndarray:
    """The row that asks for GOAL with the gripper at 0.25, when the arm lags 1 cm behind its command."""
    goal = forward(GOAL)
    if mode is ControlMode.JOINT_POSITION:
        return np.array([*GOAL, 0.25])
    if mode is ControlMode.JOINT_DELTA:
        return np.array([*(GOAL - START), 0.25])
    if mode is ControlMode.EE_POSE:
        return np.array([*goal[:3, 3], *euler_from_matrix(goal[:3, :3]), 0.25])
    return delta_between(forward(START), goal, measured_pose(), 0.25)


def measured_pose() -> np.ndarray:
    pose = forward(START)
    pose[0, 3] -= 0.01
    return pose


@pytest.mark.parametrize("mode", list(ControlMode))
def test_each_mode_reaches_the_same_target(mode: ControlMode) -> None:
    previous = Target(START, forward(START), 1.0)
    target = next_target(action_for(mode), mode, previous, measured_pose(), KINEMATICS, TABLETOP_BOX)
    np.testing.assert_allclose(target.joints, GOAL, atol=1e-3)
    np.testing.assert_allclose(target.pose, forward(GOAL), atol=1e-3)
    assert target.gripper == 0.25


@pytest.mark.parametrize("mode", list(ControlMode))
def test_gripper_is_clipped_in_every_mode(mode: ControlMode) -> None:
    action = action_for(mode)
    action[6] = 1.05
    previous = Target(START, forward(START), 0.0)
    assert next_target(action, mode, previous, measured_pose(), KINEMATICS, TABLETOP_BOX).gripper == 1.0


def test_unreachable_pose_raises() -> None:
    action = np.array([0.9, 0.0, 0.3, 0.0, 0.0, 0.0, 1.0])
    with pytest.raises(KinematicsError):
        next_target(
            action, ControlMode.EE_POSE, Target(START, forward(START), 1.0), forward(START), KINEMATICS, TABLETOP_BOX
        )


def test_pose_row_gives_the_orientation_of_the_end_effector_itself() -> None:
    pose = pose_from_action(np.array([0.3, 0.1, 0.2, 0.0, np.pi / 2, 0.0, 1.0]))
    np.testing.assert_allclose(pose[:3, 0], [0.0, 0.0, -1.0], atol=1e-12)  # fingers along -z: downward
    np.testing.assert_array_equal(pose[:3, 3], [0.3, 0.1, 0.2])
