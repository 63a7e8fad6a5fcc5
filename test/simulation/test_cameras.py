"""The cameras show the scene, and know where in the picture a point of it lies."""

import numpy as np
import pytest

from dvla_ros.errors import SimulationError
from dvla_ros.simulation.cameras import CameraRig
from dvla_ros.simulation.placement import pointing_down
from dvla_ros.simulation.scene import CAMERAS, COLOURS
from dvla_ros.simulation.simulation import Simulation

WIDTH, HEIGHT = 320, 240


@pytest.fixture(scope="module")
def rig():
    rig = CameraRig(Simulation().model, WIDTH, HEIGHT)
    yield rig
    rig.close()


def render(rig, simulation, camera):
    return rig.render(simulation.qpos(), camera, simulation.mocap())


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_view_is_a_lit_picture_of_the_asked_size(rig, simulation, camera):
    image = render(rig, simulation, camera)
    assert image.shape == (HEIGHT, WIDTH, 3) and image.dtype == np.uint8
    assert 30 < image.mean() < 225 and image.std() > 20


def test_the_same_state_gives_the_same_picture_and_another_state_another(rig, simulation):
    first = render(rig, simulation, "front")
    assert (render(rig, simulation, "front") == first).all()
    simulation.reset("pick_red", 1)
    assert (render(rig, simulation, "front") != first).any()


@pytest.mark.parametrize("seed", range(4))
def test_a_cube_is_seen_in_its_colour_where_it_projects_to(rig, simulation, seed):
    """From in front, past the arm, which starts above the table."""
    simulation.reset("pick_red", seed)
    image, scene = render(rig, simulation, "front"), simulation.scene_state()
    for channel, colour in enumerate(COLOURS):
        top = scene.cubes[colour] + [0.0, 0.0, 0.015]
        u, v = rig.project(simulation.qpos(), "front", top)[0].astype(int)
        pixel = image[v, u].astype(int)
        others = np.delete(pixel, channel)
        assert pixel[channel] > others.max() + 30, f"{colour} at ({u}, {v}) is {pixel}"


def test_the_wrist_camera_sees_the_cube_below_it(rig, simulation):
    cube = simulation.scene_state().cubes["blue"]
    radius, bearing = np.hypot(*cube[:2]), np.arctan2(cube[1], cube[0])
    simulation.set_targets(pointing_down(radius, 0.12, bearing), 0.037)
    simulation.step(1.5)
    image = render(rig, simulation, "wrist")
    u, v = rig.project(simulation.qpos(), "wrist", cube)[0].astype(int)
    red, green, blue = image[v, u].astype(int)
    assert blue > max(red, green) + 30


def test_the_pose_is_the_optical_frame(rig, simulation):
    """A point ahead of the camera on its axis is in the middle of the picture; down in the picture is +y."""
    for camera in CAMERAS:
        pose = rig.pose(simulation.qpos(), camera)
        assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9)
        ahead = pose[:3, 3] + 0.5 * pose[:3, 2]
        centre, right, below = rig.project(
            simulation.qpos(), camera, np.stack([ahead, ahead + 0.01 * pose[:3, 0], ahead + 0.01 * pose[:3, 1]])
        )
        assert centre == pytest.approx([WIDTH / 2, HEIGHT / 2])
        assert right[0] > centre[0] and below[1] > centre[1]


def test_points_behind_the_camera_are_not_in_the_picture(rig, simulation):
    pose = rig.pose(simulation.qpos(), "front")
    assert np.isnan(rig.project(simulation.qpos(), "front", pose[:3, 3] - pose[:3, 2])).all()


def test_the_plate_is_drawn_where_the_state_says(rig, simulation):
    before = render(rig, simulation, "front")
    fixtures = simulation.mocap()
    fixtures[0, :2] += [0.0, 0.3]
    assert (rig.render(simulation.qpos(), "front", fixtures) != before).any(axis=-1).mean() > 0.01


def test_an_unknown_camera_names_those_there_are(rig, simulation):
    with pytest.raises(SimulationError, match="'top'; it has front, wrist"):
        rig.render(simulation.qpos(), "top")


def test_another_rig_works_after_one_was_closed(simulation):
    for _ in range(2):
        rig = CameraRig(simulation.model, 64, 48)
        assert render(rig, simulation, "front").shape == (48, 64, 3)
        rig.close()
