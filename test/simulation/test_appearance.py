"""Pictures change as an appearance says, the same way for the same scene, and for nothing else."""

from itertools import pairwise

import numpy as np
import pytest

from dvla_ros.errors import ConfigurationError
from dvla_ros.simulation.appearance import MOST_HUE, Appearance, DressedCameras, shifted_colour
from dvla_ros.simulation.cameras import CameraRig
from dvla_ros.simulation.scene import COLOURS, build_model
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.table_patterns import table_patterns

SIZE = (160, 120)
CHANGES = [{"noise": 40.0}, {"light": 0.5}, {"texture": 0.5}, {"colour": 15.0}, {"camera": 4.0}]


@pytest.fixture(scope="module")
def scene():
    """A scene, and how a plain rig sees it from the front."""
    simulation = Simulation("pick_red", 7)
    rig = CameraRig(simulation.model, *SIZE)
    picture = rig.render(simulation.qpos(), "front", simulation.mocap())
    rig.close()
    return simulation, picture


def seen(scene, appearance, *seeds, camera="front"):
    simulation, _ = scene
    cameras = DressedCameras(simulation.model, appearance, *SIZE)
    pictures = []
    for seed in seeds:
        cameras.restart(seed)
        pictures.append(cameras.render(simulation.qpos(), camera, simulation.mocap()))
    cameras.close()
    return pictures


def test_the_nominal_appearance_is_the_plain_rig_to_the_last_bit(scene):
    (picture,) = seen(scene, Appearance(), 7)
    assert Appearance().nominal
    np.testing.assert_array_equal(picture, scene[1])


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_the_same_scene_looks_the_same_again_and_another_one_otherwise(scene, change):
    first, other, again = seen(scene, Appearance(**change), 1, 4, 1)
    np.testing.assert_array_equal(first, again)
    assert (first != scene[1]).any() and (first != other).any()


def test_nothing_of_it_is_left_in_the_scenes_own_model(scene):
    simulation, before = scene
    seen(scene, Appearance(light=0.5, texture=0.5, colour=15.0, camera=4.0), 1)
    rig = CameraRig(simulation.model, *SIZE)
    np.testing.assert_array_equal(rig.render(simulation.qpos(), "front", simulation.mocap()), before)
    rig.close()


def test_noise_has_the_standard_deviation_that_was_asked_for(scene):
    grey = (scene[1] > 90) & (scene[1] < 165)  # far from where values are clipped
    (noisy,) = seen(scene, Appearance(noise=20.0), 3)
    assert (noisy.astype(float) - scene[1])[grey].std() == pytest.approx(20.0, rel=0.05)


def test_more_of_it_changes_the_picture_more(scene):
    means = [np.abs(seen(scene, Appearance(texture=c), 2)[0].astype(float) - scene[1]).mean() for c in (0.2, 0.4, 0.8)]
    assert all(b > 1.5 * a for a, b in pairwise([1.0, *means]))


def test_only_the_front_camera_is_moved(scene):
    plain, moved = (seen(scene, Appearance(camera=c), 5, camera="wrist")[0] for c in (0.0, 5.0))
    np.testing.assert_array_equal(plain, moved)
    assert (seen(scene, Appearance(camera=5.0), 5)[0] != scene[1]).mean() > 0.1


@pytest.mark.parametrize("degrees", [-MOST_HUE, MOST_HUE])
def test_a_shifted_cube_is_still_nearest_to_its_own_colour(degrees):
    model = build_model()
    colours = {colour: model.geom(colour).rgba[:3].copy() for colour in COLOURS}
    for colour, rgb in colours.items():
        shifted = shifted_colour(rgb, degrees, 1.0 + degrees / 80.0)
        assert min(COLOURS, key=lambda other: np.linalg.norm(shifted - colours[other])) == colour
        assert np.abs(shifted - rgb).max() > 0.1


def test_patterns_differ_from_each_other_and_keep_the_tables_mean():
    patterns = table_patterns(0.4)
    assert table_patterns(0.0) == ()
    for pattern, other in pairwise((*patterns, patterns[0])):
        assert (pattern != other).any()
        assert pattern.reshape(-1, 3).mean(axis=0) == pytest.approx([158, 140, 115], abs=6)


@pytest.mark.parametrize(
    "change", [{"noise": -1.0}, {"light": 1.0}, {"texture": 2.0}, {"colour": 90.0}, {"camera": 50}]
)
def test_what_is_out_of_range_is_refused(change):
    with pytest.raises(ConfigurationError, match=f"{next(iter(change))} must lie in 0"):
        Appearance(**change)
