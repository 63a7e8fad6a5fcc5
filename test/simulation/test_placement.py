"""Layouts are reachable and fair, whatever the seed."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.control.bridge import DEFAULT_ROTATION
from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import LOWER, UPPER
from dvla_ros.simulation.placement import place_objects, pointing_down, start_configuration
from dvla_ros.simulation.scene import COLOURS, CUBE_HALF, PLATE_RADIUS
from dvla_ros.simulation.tasks import TASKS

seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(list(TASKS))
pushes = st.sampled_from([name for name, task in TASKS.items() if task.family == "push"])
layouts = settings(deadline=None, max_examples=50)


def layout(name, seed):
    return place_objects(TASKS[name], np.random.default_rng(seed))


@layouts
@given(names, seeds)
def test_an_open_finger_fits_between_any_two_cubes_and_no_cube_touches_the_plate(name, seed):
    placed = layout(name, seed)
    for a, b in combinations(COLOURS, 2):
        assert np.hypot(*(placed.cubes[a] - placed.cubes[b])[:2]) >= 0.09
    for colour in COLOURS:
        assert np.hypot(*(placed.cubes[colour][:2] - placed.plate[:2])) >= PLATE_RADIUS + 0.05


@layouts
@given(names, seeds)
def test_everything_lies_on_the_table_where_the_gripper_reaches_it_from_above(name, seed):
    placed = layout(name, seed)
    for point in (*placed.cubes.values(), placed.plate):
        radius, bearing = np.hypot(*point[:2]), np.arctan2(point[1], point[0])
        joints = pointing_down(radius, 0.02, bearing)
        assert (joints > LOWER).all() and (joints < UPPER).all()
    assert all(pose[2] == CUBE_HALF for pose in placed.cubes.values())


@layouts
@given(pushes, seeds)
def test_the_lane_of_a_push_is_free(name, seed):
    task, placed = TASKS[name], layout(name, seed)
    target = placed.cubes[task.target]
    for colour in set(COLOURS) - {task.target}:
        along = task.sign * (placed.cubes[colour][1] - target[1])
        beside = abs(placed.cubes[colour][0] - target[0])
        assert beside > CUBE_HALF * 3 or not -0.1 < along < 0.14


def test_the_same_seed_gives_the_same_layout_and_another_seed_another():
    first, again, other = layout("pick_red", 5), layout("pick_red", 5), layout("pick_red", 6)
    assert all((first.cubes[c] == again.cubes[c]).all() for c in COLOURS)
    assert not np.allclose(first.cubes["red"], other.cubes["red"])


@given(st.floats(0.20, 0.30), st.floats(0.02, 0.22), st.floats(-1.0, 1.0))
@settings(deadline=None)
def test_pointing_down_agrees_with_forward_kinematics(radius, height, bearing):
    pose = forward(pointing_down(radius, height, bearing))
    assert pose[:3, 3] == pytest.approx([radius * np.cos(bearing), radius * np.sin(bearing), height], abs=1e-4)
    yaw = np.array([[np.cos(bearing), -np.sin(bearing), 0], [np.sin(bearing), np.cos(bearing), 0], [0, 0, 1]])
    assert pose[:3, :3] == pytest.approx(yaw @ DEFAULT_ROTATION, abs=1e-9)


@given(seeds)
@settings(deadline=None)
def test_the_arm_starts_above_the_cubes_pointing_down(seed):
    joints = start_configuration(np.random.default_rng(seed))
    pose = forward(joints)
    assert (joints > LOWER).all() and (joints < UPPER).all()
    assert pose[2, 3] >= 0.16 - 1e-4
    assert pose[:3, 0] == pytest.approx([0.0, 0.0, -1.0], abs=1e-9)
