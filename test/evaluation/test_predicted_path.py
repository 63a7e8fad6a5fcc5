"""The path in space and in the pictures agrees with the arm and the renderer."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.bridge import DEFAULT_ROTATION
from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import ARM_JOINTS, NEUTRAL
from dvla_ros.evaluation.predicted_path import CameraGeometry, predicted_path, project
from dvla_ros.simulation.cameras import CameraRig
from dvla_ros.simulation.scene import CAMERAS, build_model


@pytest.fixture(scope="module")
def model():
    return build_model()


def start_at(x, y, z):
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = DEFAULT_ROTATION, (x, y, z)
    return pose


def test_translations_add_up():
    actions = np.zeros((3, 7), np.float32)
    actions[:, 0], actions[:, 2] = 0.01, -0.02
    path = predicted_path(actions, start_at(0.25, 0.05, 0.15))
    np.testing.assert_allclose(path[0], (0.25, 0.05, 0.15))
    np.testing.assert_allclose(path[-1], (0.28, 0.05, 0.09), atol=1e-6)


def test_a_turn_of_the_gripper_moves_nothing():
    actions = np.zeros((4, 7), np.float32)
    actions[:, 5] = 0.2
    path = predicted_path(actions, start_at(0.25, 0.0, 0.15))
    np.testing.assert_allclose(path, np.tile(path[0], (5, 1)), atol=1e-9)


def test_the_path_ends_at_the_workspace():
    actions = np.zeros((8, 7), np.float32)
    actions[:, 2] = -0.05
    assert predicted_path(actions, start_at(0.25, 0.0, 0.10))[-1, 2] == pytest.approx(-0.01)


@pytest.mark.parametrize("camera", CAMERAS)
def test_projection_agrees_with_the_renderer(model, camera):
    rng = np.random.default_rng(1)
    rig, geometry = CameraRig(model, 64, 48), CameraGeometry(model)
    data = mujoco.MjData(model)
    joints = NEUTRAL + rng.uniform(-0.2, 0.2, 6)
    data.qpos[[model.joint(name).qposadr[0] for name in ARM_JOINTS]] = joints
    points = forward(joints)[:3, 3] + rng.uniform(-0.02, 0.02, (20, 3))
    pixels = project(points, geometry.pose(camera, joints), rig.intrinsics(camera))
    expected = rig.project(data.qpos, camera, points)
    rig.close()
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


@given(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-1.0, 1.0))
def test_only_points_in_front_of_the_camera_have_pixels(x, y, z):
    intrinsics = np.array([[100.0, 0.0, 32.0], [0.0, 100.0, 24.0], [0.0, 0.0, 1.0]])
    (pixel,) = project(np.array([[x, y, z]]), np.eye(4), intrinsics)
    if z > 0.01:
        np.testing.assert_allclose(pixel, (32.0 + 100.0 * x / z, 24.0 + 100.0 * y / z))
    else:
        assert np.isnan(pixel).all()
