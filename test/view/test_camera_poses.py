"""Where cameras are: simulated, or as somebody measured them."""

import numpy as np
import pytest

from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import NEUTRAL, SLEEP
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.predicted_path import CameraGeometry
from dvla_ros.share import share_path
from dvla_ros.simulation.scene import build_model
from dvla_ros.view.camera_poses import SIMULATION, camera_poses

MOUNT = "{parent: PARENT, position: [0.1, 0.2, 0.3], quaternion: [0, 0, 1, 0], intrinsics: [500, 510, 320, 240]}"


@pytest.fixture
def mounted(tmp_path):
    def make(text):
        path = tmp_path / "poses.yaml"
        path.write_text(text)
        return camera_poses(str(path))

    return make


def test_simulated_cameras_are_those_of_the_scene():
    poses, geometry = camera_poses(SIMULATION), CameraGeometry(build_model())
    np.testing.assert_allclose(poses.pose("wrist", SLEEP), geometry.pose("wrist", SLEEP))
    assert poses.pose("top", SLEEP) is None


def test_without_a_source_nothing_is_known():
    assert camera_poses("").pose("front", NEUTRAL) is None


def test_a_camera_on_the_base_stays_and_one_on_the_end_effector_moves_with_it(mounted):
    poses = mounted(f"top: {MOUNT.replace('PARENT', 'base')}\nhand: {MOUNT.replace('PARENT', 'end_effector')}\n")
    local = np.array([[-1, 0, 0, 0.1], [0, -1, 0, 0.2], [0, 0, 1, 0.3], [0, 0, 0, 1]], float)
    np.testing.assert_allclose(poses.pose("top", SLEEP), local, atol=1e-12)
    np.testing.assert_allclose(poses.pose("hand", SLEEP), forward(SLEEP) @ local, atol=1e-12)
    np.testing.assert_array_equal(poses.intrinsics("top"), [[500, 0, 320], [0, 510, 240], [0, 0, 1]])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("front", "must be a table"),
        ("front: {parent: base}", "needs parent, position and quaternion"),
        (f"front: {MOUNT.replace('PARENT', 'table')}", "must be one of base, end_effector, got 'table'"),
        ("front: {parent: base, position: [0, 0], quaternion: [0, 0, 0, 1]}", "position .* must be 3 numbers"),
        ("front: {parent: base, position: [0, 0, 0], quaternion: [0, 0, 0, 2]}", "its length is 2"),
    ],
)
def test_a_malformed_file_is_refused_in_words(mounted, text, problem):
    with pytest.raises(ConfigurationError, match=problem):
        mounted(text)


def test_a_missing_file_is_refused():
    with pytest.raises(ConfigurationError, match="cannot be read"):
        camera_poses("/no/such/file.yaml")


def test_the_shipped_example_is_right_about_the_simulated_cameras():
    poses, simulated = camera_poses(str(share_path("config/camera_poses.yaml"))), camera_poses(SIMULATION)
    for camera in ("front", "wrist"):
        for joints in (NEUTRAL, SLEEP):
            np.testing.assert_allclose(poses.pose(camera, joints), simulated.pose(camera, joints), atol=1e-3)
