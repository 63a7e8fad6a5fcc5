"""Homogeneous matrices as ROS poses."""

import mujoco
import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion


def pose_message(pose: np.ndarray) -> Pose:
    """ROS pose of a homogeneous matrix `[4, 4]`."""
    x, y, z = pose[:3, 3].tolist()
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(pose[:3, :3]).ravel())
    qw, qx, qy, qz = quaternion.tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
