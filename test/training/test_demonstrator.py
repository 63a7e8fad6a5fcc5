"""The scripted expert in the place of a policy: whole ways, known from task and seed alone."""

import numpy as np
import pytest

from dvla_ros.control.action_space import pose_from_action
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.observation import Observation
from dvla_ros.control.widowx import finger_from_gripper
from dvla_ros.errors import ActionError, SimulationError
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.teleop import ACTION_DT
from dvla_ros.training.demonstrator import HORIZON, Demonstrator

SEED = 1_000_003


@pytest.fixture
def demonstrator():
    return Demonstrator(lambda: ("pick_red", SEED))


def seen(sentence, stamp=0.0, row=None):
    state = np.zeros(7) if row is None else np.array([*row[:3], 0.0, 0.0, 0.0, row[6]])
    return Observation(stamp, {}, state, sentence)


@pytest.mark.parametrize("task", ["pick_red", "put_green_on_plate", "stack_red_on_blue", "push_blue_left"])
def test_the_way_does_the_task(task):
    rows = Demonstrator(lambda: (task, SEED)).rehearse(task, SEED)
    assert rows.shape == (HORIZON, 7)
    assert set(rows[:, 6]) <= {0.0, 1.0}
    simulation, kinematics = Simulation(task, SEED), WidowXKinematics()
    joints = simulation.arm
    for row in rows:
        goal = kinematics.inverse(pose_from_action(row), joints)
        for part in (0.5, 1.0):
            simulation.set_targets(joints + part * (goal - joints), finger_from_gripper(row[6]))
            simulation.step(ACTION_DT / 2)
        joints = goal
    assert simulation.judge().outcome == "success"


def test_a_scene_has_one_way(demonstrator):
    first = demonstrator.rehearse("pick_red", SEED)
    assert np.array_equal(demonstrator.rehearse("pick_red", SEED), first)
    assert not np.array_equal(demonstrator.rehearse("pick_red", SEED + 1), first)


def test_a_run_goes_on_where_rows_were_dropped(demonstrator):
    asked = "pick up the red cube"
    way = demonstrator.predict(seen(asked)).actions
    rest = demonstrator.predict(seen(asked, 3.0, way[3])).actions
    assert np.array_equal(rest[: HORIZON - 3], way[3:])
    assert np.array_equal(rest[HORIZON - 3 :], np.tile(way[-1], (3, 1)))
    early = demonstrator.predict(seen(asked, 0.3, way[-1])).actions
    assert np.array_equal(early, way)  # the nearest of the two that are due
    demonstrator.reset()
    assert np.array_equal(demonstrator.predict(seen(asked)).actions, way)


def test_another_scene_in_the_same_run_has_its_own_way():
    scenes = [SEED, SEED + 1]
    demonstrator = Demonstrator(lambda: ("pick_red", scenes.pop(0)))
    asked = seen("pick up the red cube")
    demonstrator.predict(asked)
    other = demonstrator.rehearse("pick_red", SEED + 1).astype(np.float32)
    assert np.array_equal(demonstrator.predict(asked).actions, other)


def test_what_the_scene_is_not_laid_out_for_is_refused(demonstrator):
    with pytest.raises(ActionError, match="laid out for pick_red, asked for is push_red_left"):
        demonstrator.predict(seen("push the red cube to the left"))
    with pytest.raises(SimulationError, match="cannot judge"):
        demonstrator.predict(seen("make coffee"))


def test_it_begins_at_rest(demonstrator):
    with pytest.raises(ActionError, match="replanning:=sync"):
        demonstrator.predict(seen("pick up the red cube"), frozen_actions=np.zeros((2, 7), np.float32))
