"""Where the cameras are, so that what is planned can be drawn into what they see."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import yaml

from dvla_ros.control.kinematics import forward
from dvla_ros.errors import ConfigurationError

PARENTS = ("base", "end_effector")
SIMULATION = "simulation"
"""Written in place of a file: the cameras of the simulated scene."""


class CameraPoses(Protocol):
    """Knows where cameras are."""

    def pose(self, camera: str, joints: np.ndarray) -> np.ndarray | None:
        """Pose `[4, 4]` of a camera's optical frame (z forward, x right, y down) in the base frame for joints `[6]`.

        None for a camera whose place is not known.
        """
        ...

    def intrinsics(self, camera: str) -> np.ndarray | None:
        """Pinhole matrix `[3, 3]` in pixels, where `camera_info` is not to be believed or does not come; else None."""
        ...


class UnknownCameras:
    """Knows nothing: the path is drawn in space only."""

    def pose(self, camera: str, joints: np.ndarray) -> np.ndarray | None:
        """None."""
        return None

    def intrinsics(self, camera: str) -> np.ndarray | None:
        """None."""
        return None


class SimulatedCameras:
    """The cameras of the simulated scene."""

    def __init__(self) -> None:
        from dvla_ros.evaluation.predicted_path import CameraGeometry
        from dvla_ros.simulation.scene import CAMERAS, build_model

        self._names, self._geometry = CAMERAS, CameraGeometry(build_model())

    def pose(self, camera: str, joints: np.ndarray) -> np.ndarray | None:
        """Pose `[4, 4]` of the optical frame in the base frame."""
        return self._geometry.pose(camera, joints) if camera in self._names else None

    def intrinsics(self, camera: str) -> np.ndarray | None:
        """None: the simulation publishes them."""
        return None


@dataclass(frozen=True)
class Mount:
    """Where a real camera is fixed.

    Attributes:
        parent: `base`, or `end_effector` for one that moves with the arm.
        pose: `[4, 4]` of the optical frame in the frame of the parent.
        intrinsics: Pinhole matrix `[3, 3]` in pixels; None: as `camera_info` says.
    """

    parent: str
    pose: np.ndarray
    intrinsics: np.ndarray | None


class MountedCameras:
    """Real cameras whose places were measured.

    Args:
        mounts: By camera name.
    """

    def __init__(self, mounts: Mapping[str, Mount]) -> None:
        self._mounts = mounts

    def pose(self, camera: str, joints: np.ndarray) -> np.ndarray | None:
        """Pose `[4, 4]` of the optical frame in the base frame."""
        mount = self._mounts.get(camera)
        if mount is None:
            return None
        return mount.pose if mount.parent == "base" else forward(joints) @ mount.pose

    def intrinsics(self, camera: str) -> np.ndarray | None:
        """What the file says, else None."""
        return self._mounts[camera].intrinsics if camera in self._mounts else None


def camera_poses(source: str) -> CameraPoses:
    """The cameras that a text names: `simulation`, a YAML file (see `config/camera_poses.yaml`), or nothing.

    Raises:
        ConfigurationError: The file is missing or malformed.
    """
    if source == SIMULATION:
        return SimulatedCameras()
    return MountedCameras(read_mounts(Path(source).expanduser())) if source else UnknownCameras()


def read_mounts(path: Path) -> dict[str, Mount]:
    """The cameras of a YAML file.

    Raises:
        ConfigurationError: The file is missing or malformed.
    """
    try:
        cameras = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"Camera poses {path} cannot be read: {error}") from None
    if not isinstance(cameras, dict):
        raise ConfigurationError(f"Camera poses {path} must be a table of cameras, got {cameras!r}.")
    return {str(name): _mount(path, str(name), entry) for name, entry in cameras.items()}


_KEYS = {"parent", "position", "quaternion", "intrinsics"}


def _mount(path: Path, name: str, entry: object) -> Mount:
    if not isinstance(entry, dict) or not {"parent", "position", "quaternion"} <= set(entry) <= _KEYS:
        raise ConfigurationError(
            f"Camera '{name}' in {path} needs parent, position and quaternion, and may have intrinsics; got {entry!r}."
        )
    if entry["parent"] not in PARENTS:
        raise ConfigurationError(
            f"The parent of camera '{name}' in {path} must be one of {', '.join(PARENTS)}, got {entry['parent']!r}."
        )
    pose = np.eye(4)
    pose[:3, :3] = _rotation(_numbers(path, name, entry, "quaternion", 4), path, name)
    pose[:3, 3] = _numbers(path, name, entry, "position", 3)
    intrinsics = None
    if "intrinsics" in entry:
        fx, fy, cx, cy = _numbers(path, name, entry, "intrinsics", 4)
        intrinsics = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    return Mount(entry["parent"], pose, intrinsics)


def _numbers(path: Path, name: str, entry: Mapping[str, object], key: str, count: int) -> np.ndarray:
    try:
        values = np.array(entry[key], np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise ConfigurationError(f"{key} of camera '{name}' in {path} must be {count} numbers, got {entry[key]!r}.")
    return values


def _rotation(quaternion: np.ndarray, path: Path, name: str) -> np.ndarray:
    """Rotation matrix `[3, 3]` of a quaternion x y z w."""
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1.0) > 0.05:
        raise ConfigurationError(
            f"quaternion of camera '{name}' in {path} must be x y z w of length 1, its length is {length:g}."
        )
    x, y, z, w = quaternion / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
