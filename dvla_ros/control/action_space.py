"""What the four control modes mean: from one action row to joints, pose and gripper."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.control.bridge import apply_delta
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.rotation import matrix_from_euler
from dvla_ros.control.workspace import WorkspaceBox


@dataclass(frozen=True)
class Target:
    """What is commanded: where the arm shall be when a row's interval ends.

    Attributes:
        joints: float64 `[6]` rad.
        pose: float64 `[4, 4]` end effector in the base frame.
        gripper: Opening, 0 closed .. 1 open.
    """

    joints: np.ndarray
    pose: np.ndarray
    gripper: float


def next_target(
    action: np.ndarray,
    mode: ControlMode,
    previous: Target,
    measured: np.ndarray,
    kinematics: WidowXKinematics,
    workspace: WorkspaceBox,
) -> Target:
    """The target that an action asks for.

    Args:
        action: `[7]`: six numbers as `mode` says, and the gripper opening.
        mode: What they mean, see `msg/ActionChunk.msg`.
        previous: What was commanded before; increments start from it.
        measured: `[4, 4]` measured end effector, about which `EE_DELTA` turns.
        kinematics: Solver of the calling thread; searches from the previous joints.
        workspace: Box to which `EE_DELTA` clips the position.

    Raises:
        KinematicsError: The pose cannot be reached.
        ActionError: The action does not have 7 numbers.
    """
    gripper = float(np.clip(action[6], 0.0, 1.0))
    if mode is ControlMode.JOINT_POSITION or mode is ControlMode.JOINT_DELTA:
        values = np.asarray(action[:6], np.float64)
        joints = values if mode is ControlMode.JOINT_POSITION else previous.joints + values
        return Target(joints, kinematics.forward(joints), gripper)
    if mode is ControlMode.EE_POSE:
        pose = pose_from_action(action)
    else:
        pose, gripper = apply_delta(previous.pose, measured, action, workspace)
    return Target(kinematics.inverse(pose, previous.joints), pose, gripper)


def pose_from_action(action: np.ndarray) -> np.ndarray:
    """The pose `[4, 4]` of an `EE_POSE` row: x, y, z (m), roll, pitch, yaw (rad) of the end effector itself.

    The angles turn from the base frame to the frame of the end effector; unlike those of a Bridge state they are not
    relative to the downward gripper.
    """
    pose = np.eye(4)
    pose[:3, :3] = matrix_from_euler(action[3:6])
    pose[:3, 3] = action[:3]
    return pose
