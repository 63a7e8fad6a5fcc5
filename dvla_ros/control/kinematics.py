"""Where the gripper is for given joints, and which joints bring it to a given pose."""

import math
from functools import cache

import mink
import mujoco
import numpy as np

from dvla_ros.control.description import EE_SITE, widowx_spec
from dvla_ros.control.rotation import rotation_angle
from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.errors import KinematicsError

POSITION_TOLERANCE = 1e-3
"""Metres by which a solution may miss the asked position."""

ROTATION_TOLERANCE = 1e-2
"""Radians by which a solution may miss the asked orientation."""

_STOP_POSITION = 1e-5
_STOP_ROTATION = 1e-4
"""Iteration ends below these, far inside the tolerance, so that streamed solutions carry no visible noise."""

_MAX_ITERATIONS = 40
_ERROR_DAMPING = 0.01
_DAMPING = 1e-6
"""Levenberg-Marquardt terms: with them far targets converge from any seed, without them one in five does not."""

_UNIT = np.eye(3)


@cache
def arm_model() -> mujoco.MjModel:
    """The six arm joints alone: no fingers, no geometry. Shared by every solver; never written to."""
    spec = widowx_spec()
    unused = [joint for joint in spec.joints if joint.name not in ARM_JOINTS]
    for element in [*spec.equalities, *unused, *spec.geoms, *spec.meshes]:
        spec.delete(element)
    return spec.compile()


@cache
def _screws() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joint axes `[6, 3]`, points on them `[6, 3]` and the pose of the end effector `[4, 4]`, all at zero joints."""
    model = arm_model()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    home = np.eye(4)
    home[:3, :3] = data.site(EE_SITE).xmat.reshape(3, 3)
    home[:3, 3] = data.site(EE_SITE).xpos
    return data.xaxis.copy(), data.xanchor.copy(), home


def forward(joints: np.ndarray) -> np.ndarray:
    """Pose of the end effector in the base frame, by the product of exponentials; safe from any thread.

    Args:
        joints: `[6]` arm joints in radians.

    Returns:
        float64 `[4, 4]`.
    """
    crosses, squares, anchors, home = _generators()
    sines, versines = np.sin(joints)[::-1, None, None], 1.0 - np.cos(joints)[::-1, None, None]
    pose = home.copy()
    for turn, anchor in zip(_UNIT + sines * crosses + versines * squares, anchors, strict=True):
        pose[:3, 3] -= anchor
        pose[:3] = turn @ pose[:3]
        pose[:3, 3] += anchor
    return pose


def positions_of(joints: np.ndarray) -> np.ndarray:
    """Positions of the end effector for many joint vectors at once; safe from any thread.

    Args:
        joints: `[n, 6]` arm joints in radians.

    Returns:
        float64 `[n, 3]` in metres, base frame.
    """
    if len(joints) == 1:
        return np.array([position_of(joints[0])])
    crosses, anchors, home = _turns()
    sines, cosines = np.sin(joints)[:, ::-1], np.cos(joints)[:, ::-1]
    points = np.broadcast_to(home, (len(joints), 3))
    for index, (cross, anchor) in enumerate(zip(crosses, anchors, strict=True)):
        turned = (points - anchor) @ cross
        points = points + sines[:, index, None] * turned + (1.0 - cosines[:, index, None]) * (turned @ cross)
    return points


def position_of(joints: np.ndarray) -> tuple[float, float, float]:
    """Position of the end effector in metres, base frame, for `[6]` joints in radians; quick, for every command."""
    lines, (x, y, z) = _lines()
    for (ax, ay, az, px, py, pz), angle in zip(lines, reversed(joints.tolist()), strict=True):
        x, y, z = x - px, y - py, z - pz
        sine, cosine = math.sin(angle), math.cos(angle)
        along = (1.0 - cosine) * (ax * x + ay * y + az * z)
        x, y, z = (
            px + cosine * x + sine * (ay * z - az * y) + along * ax,
            py + cosine * y + sine * (az * x - ax * z) + along * ay,
            pz + cosine * z + sine * (ax * y - ay * x) + along * az,
        )
    return x, y, z


@cache
def _generators() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For Rodrigues' formula, from the last joint to the first: cross-product matrices and their squares `[6, 3, 3]`.

    The others are points on the axes `[6, 3]`, and the pose of the end effector `[4, 4]` at zero joints.
    """
    axes, anchors, home = _screws()
    crosses = np.stack([_cross(axis) for axis in axes[::-1]])
    return crosses, crosses @ crosses, anchors[::-1].copy(), home


@cache
def _turns() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From the last joint to the first: transposed cross-product matrices `[6, 3, 3]`, points on the axes `[6, 3]`.

    The third is the position `[3]` of the end effector at zero joints.
    """
    axes, anchors, home = _screws()
    return np.stack([_cross(axis).T for axis in axes[::-1]]), anchors[::-1].copy(), home[:3, 3].copy()


@cache
def _lines() -> tuple[tuple[tuple[float, ...], ...], tuple[float, float, float]]:
    """The same as plain numbers: axis and point of each joint from the last to the first, and the position."""
    axes, anchors, home = _screws()
    lines = tuple(tuple(line) for line in np.concatenate([axes, anchors], axis=1)[::-1].tolist())
    x, y, z = home[:3, 3].tolist()
    return lines, (x, y, z)


def _cross(axis: np.ndarray) -> np.ndarray:
    """Matrix `[3, 3]` of the cross product with `axis` `[3]`."""
    x, y, z = axis
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


class WidowXKinematics:
    """Forward and inverse kinematics of the arm; one instance per thread, since the solver keeps working memory."""

    def __init__(self) -> None:
        model = arm_model()
        self._configuration = mink.Configuration(model)
        self._task = mink.FrameTask(EE_SITE, "site", 1.0, 1.0, lm_damping=_ERROR_DAMPING)
        self._limits = [mink.ConfigurationLimit(model, gain=1.0)]
        self._lower, self._upper = model.jnt_range.T

    def forward(self, joints: np.ndarray) -> np.ndarray:
        """Pose of the end effector `[4, 4]` in the base frame for arm joints `[6]` in radians."""
        return forward(joints)

    def inverse(self, pose: np.ndarray, seed: np.ndarray) -> np.ndarray:
        """Joints within their limits that bring the end effector to a pose, near a seed.

        Args:
            pose: `[4, 4]` in the base frame.
            seed: `[6]` joints in radians from which the search starts; clipped to the limits.

        Returns:
            float64 `[6]` joints in radians, correct to 1e-3 m and 1e-2 rad.

        Raises:
            KinematicsError: No joints within the limits were found from this seed.
        """
        if not (np.isfinite(pose).all() and np.isfinite(seed).all()):
            raise KinematicsError(f"Inverse kinematics needs finite numbers, got pose {pose.tolist()}, seed {seed}.")
        self._task.set_target(mink.SE3.from_matrix(pose))
        self._configuration.update(np.clip(seed, self._lower, self._upper))
        self._iterate()
        joints: np.ndarray = np.clip(self._configuration.q, self._lower, self._upper)
        _require_reached(pose, forward(joints))
        return joints

    def _iterate(self) -> None:
        """Step until the pose is met, or the step gets nowhere."""
        for _ in range(_MAX_ITERATIONS):
            error = self._task.compute_error(self._configuration)
            if np.linalg.norm(error[:3]) < _STOP_POSITION and np.linalg.norm(error[3:]) < _STOP_ROTATION:
                return
            try:
                step = mink.solve_ik(
                    self._configuration, [self._task], 1.0, "daqp", damping=_DAMPING, limits=self._limits
                )
            except mink.NoSolutionFound:
                return
            self._configuration.integrate_inplace(step, 1.0)


def _require_reached(wanted: np.ndarray, reached: np.ndarray) -> None:
    distance = float(np.linalg.norm(wanted[:3, 3] - reached[:3, 3]))
    angle = rotation_angle(wanted[:3, :3], reached[:3, :3])
    if distance > POSITION_TOLERANCE or angle > ROTATION_TOLERANCE:
        x, y, z = wanted[:3, 3]
        raise KinematicsError(
            f"The WidowX cannot reach ({x:.3f}, {y:.3f}, {z:.3f}) m with that orientation from the given joints: "
            f"{distance * 1e3:.1f} mm and {angle:.3f} rad remain."
        )
