"""Where a chunk of end-effector increments leads, in the base frame and in a camera's picture."""

import mujoco
import numpy as np

from dvla_ros.control.bridge import apply_delta
from dvla_ros.control.widowx import ARM_JOINTS

_NEAR = 0.01
# MuJoCo cameras look along −z with y up; ROS optical frames look along +z with y down (REP 103).
_OPTICAL = np.diag([1.0, -1.0, -1.0])


def predicted_path(actions: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Positions of the end effector that the rows of a chunk ask for.

    Args:
        actions: `[H, 7]` Bridge increments, see `control.bridge.apply_delta`.
        start: `[4, 4]` pose commanded before the first row.

    Returns:
        float64 `[H + 1, 3]` in metres, base frame; the first is that of `start`. The measured pose about which
        rotations turn is taken to be the commanded one.
    """
    poses = [start]
    for action in actions:
        poses.append(apply_delta(poses[-1], poses[-1], action)[0])
    return np.array([pose[:3, 3] for pose in poses])


class CameraGeometry:
    """Where the cameras of a scene are for given arm joints; computes kinematics only, no pictures.

    Args:
        model: The scene; its base frame is the world frame.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._arm = np.array([model.joint(name).qposadr[0] for name in ARM_JOINTS])

    def pose(self, camera: str, joints: np.ndarray) -> np.ndarray:
        """Pose `[4, 4]` of a camera's optical frame (z forward, x right, y down) in the base frame.

        Args:
            camera: Name of a camera of the scene.
            joints: `[6]` arm joints in radians.
        """
        self._data.qpos[self._arm] = joints
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        pose = np.eye(4)
        pose[:3, :3] = self._data.camera(camera).xmat.reshape(3, 3) @ _OPTICAL
        pose[:3, 3] = self._data.camera(camera).xpos
        return pose


def project(points: np.ndarray, pose: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Pixels of points in a pinhole camera.

    Args:
        points: `[N, 3]` in metres, base frame.
        pose: `[4, 4]` of the optical frame in the base frame.
        intrinsics: `[3, 3]` matrix K in pixels.

    Returns:
        float64 `[N, 2]`, u to the right and v down; NaN for points that are not in front of the camera.
    """
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    depth = np.where(local[:, 2] > _NEAR, local[:, 2], np.nan)
    pixels: np.ndarray = (local / depth[:, None]) @ intrinsics.T
    return pixels[:, :2]
