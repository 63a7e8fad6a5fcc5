"""Offscreen rendering of the scene's cameras."""

import mujoco
import numpy as np

from dvla_ros.errors import SimulationError
from dvla_ros.simulation.scene import CAMERAS

_FLAGS_OFF = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION)
_HIDDEN_GROUP = 3
# MuJoCo cameras look along −z with y up; ROS optical frames look along +z with y down (REP 103).
_OPTICAL = np.diag([1.0, -1.0, -1.0])


class CameraRig:
    """Renders any camera of a model from a copy of its positions.

    OpenGL contexts belong to one thread: create, use and close a rig in the same thread.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        model.vis.quality.offsamples = 0  # multisampling doubles the cost in software; consumers average down instead
        self._renderer = mujoco.Renderer(model, height, width)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[_HIDDEN_GROUP] = 0
        self.width, self.height = width, height

    def render(self, qpos: np.ndarray, camera: str, mocap: np.ndarray | None = None) -> np.ndarray:
        """RGB image uint8 `[height, width, 3]` of the scene at positions `qpos` `[nq]`.

        Args:
            qpos: Generalised positions.
            camera: One of `scene.CAMERAS`.
            mocap: Positions and quaternions `[nmocap, 7]` of the movable fixtures; None keeps the last ones.

        Raises:
            SimulationError: The camera does not exist.
        """
        self._pose(qpos, mocap)
        self._check(camera)
        self._renderer.update_scene(self._data, camera, self._option)
        for flag in _FLAGS_OFF:
            self._renderer.scene.flags[flag] = 0
        return self._renderer.render()

    def intrinsics(self, camera: str) -> np.ndarray:
        """Pinhole matrix K `[3, 3]` in pixels for this rig's image size; square pixels, centred."""
        self._check(camera)
        focal = 0.5 * self.height / np.tan(np.deg2rad(self._model.camera(camera).fovy[0]) / 2.0)
        return np.array([[focal, 0.0, self.width / 2.0], [0.0, focal, self.height / 2.0], [0.0, 0.0, 1.0]])

    def pose(self, qpos: np.ndarray, camera: str) -> np.ndarray:
        """Pose `[4, 4]` of the camera's optical frame (z forward, x right, y down) in the base frame."""
        self._pose(qpos, None)
        self._check(camera)
        pose = np.eye(4)
        pose[:3, :3] = self._data.camera(camera).xmat.reshape(3, 3) @ _OPTICAL
        pose[:3, 3] = self._data.camera(camera).xpos
        return pose

    def project(self, qpos: np.ndarray, camera: str, points: np.ndarray) -> np.ndarray:
        """Pixels `[N, 2]` (u right, v down) of base-frame points `[N, 3]`; NaN behind the camera."""
        pose = self.pose(qpos, camera)
        local = (np.atleast_2d(points) - pose[:3, 3]) @ pose[:3, :3]
        depth = np.where(local[:, 2] > 1e-3, local[:, 2], np.nan)
        pixels: np.ndarray = (local / depth[:, None]) @ self.intrinsics(camera).T
        return pixels[:, :2]

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()

    def _pose(self, qpos: np.ndarray, mocap: np.ndarray | None) -> None:
        self._data.qpos[:] = qpos
        if mocap is not None:
            self._data.mocap_pos[:] = mocap[:, :3]
            self._data.mocap_quat[:] = mocap[:, 3:]
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)

    def _check(self, camera: str) -> None:
        if camera not in CAMERAS:
            raise SimulationError(f"The scene has no camera {camera!r}; it has {', '.join(CAMERAS)}.")
