"""Sentences mean the tasks they should, and a scene is judged by what happened in it."""

from dataclasses import replace

import numpy as np
import pytest

from dvla_ros.errors import SimulationError
from dvla_ros.simulation.tasks import FAMILIES, TASKS, SceneState, task_for_instruction, task_named

INITIAL = SceneState(
    cubes={
        "red": np.array([0.30, 0.00, 0.02]),
        "green": np.array([0.25, 0.12, 0.02]),
        "blue": np.array([0.25, -0.12, 0.02]),
    },
    yaws={"red": 0.0, "green": 0.0, "blue": 0.0},
    plate=np.array([0.35, 0.20, 0.005]),
    held=frozenset(),
    touched=frozenset(),
    speed=0.0,
)
LIFT = np.array([0.0, 0.0, 0.06])
ON_PLATE = np.array([0.36, 0.19, 0.03])
ON_GREEN = np.array([0.255, 0.12, 0.06])


def with_cube(colour, position, **changes):
    return replace(INITIAL, cubes={**INITIAL.cubes, colour: np.asarray(position)}, **changes)


def moved(colour, offset):
    return with_cube(colour, INITIAL.cubes[colour] + offset)


def outcome(name, now):
    judgement = TASKS[name].judge(INITIAL, now)
    return judgement.outcome, judgement.detail


@pytest.mark.parametrize("name", TASKS)
def test_every_phrasing_names_its_task_and_no_other(name):
    for sentence in TASKS[name].phrasings:
        assert task_for_instruction(sentence) is TASKS[name]
        assert task_for_instruction(f"  {sentence.upper()}. ") is TASKS[name]


def test_all_sentences_differ():
    sentences = [sentence for task in TASKS.values() for sentence in task.phrasings]
    assert len(set(sentences)) == len(sentences)


def test_there_are_eighteen_tasks_in_four_families():
    assert len(TASKS) == 18
    assert {task.family for task in TASKS.values()} == set(FAMILIES)
    assert all(task_named(name).name == name for name in TASKS)


@pytest.mark.parametrize(
    "sentence", ["", "make coffee", "pick up the purple cube", "stack the red cube on the red cube"]
)
def test_a_sentence_it_cannot_judge_is_refused_with_those_it_can(sentence):
    with pytest.raises(SimulationError, match="pick up the red cube"):
        task_for_instruction(sentence)


@pytest.mark.parametrize("name", TASKS)
def test_nothing_done_is_still_running(name):
    assert outcome(name, INITIAL) == ("running", "")


def test_picking_is_lifting_the_right_cube():
    assert outcome("pick_red", moved("red", LIFT)) == ("success", "")
    assert outcome("pick_red", moved("red", LIFT / 2)) == ("running", "")
    assert outcome("pick_red", moved("blue", LIFT)) == ("wrong_object", "blue")


def test_putting_is_resting_on_the_plate_free_and_still():
    assert outcome("put_red_on_plate", with_cube("red", ON_PLATE)) == ("success", "")
    assert outcome("put_red_on_plate", with_cube("red", ON_PLATE, touched=frozenset({"red"}))) == ("running", "")
    assert outcome("put_red_on_plate", with_cube("red", ON_PLATE, speed=0.2)) == ("running", "")
    assert outcome("put_red_on_plate", with_cube("red", ON_PLATE + np.array([0.0, 0.0, 0.03]))) == ("running", "")
    assert outcome("put_red_on_plate", with_cube("red", ON_PLATE + np.array([0.08, 0.0, 0.0]))) == ("running", "")
    assert outcome("put_red_on_plate", moved("green", LIFT)) == ("wrong_object", "green")


def test_stacking_is_resting_on_the_named_cube():
    assert outcome("stack_red_on_green", with_cube("red", ON_GREEN)) == ("success", "")
    assert outcome("stack_red_on_green", with_cube("red", ON_GREEN, touched=frozenset({"red"}))) == ("running", "")
    assert outcome("stack_red_on_green", with_cube("red", ON_GREEN + np.array([0.03, 0.0, 0.0]))) == ("running", "")
    assert outcome("stack_red_on_blue", with_cube("red", ON_GREEN)) == ("running", "")
    assert outcome("stack_red_on_green", moved("green", LIFT)) == ("wrong_object", "green")


@pytest.mark.parametrize(("direction", "sign"), [("left", 1.0), ("right", -1.0)])
def test_pushing_is_along_y_to_the_named_side(direction, sign):
    name, way = f"push_red_{direction}", np.array([0.0, sign * 0.06, 0.0])
    assert outcome(name, moved("red", way)) == ("success", "")
    assert outcome(name, moved("red", way / 2)) == ("running", "")
    assert outcome(name, moved("red", -way)) == ("running", "")
    assert outcome(name, moved("red", way + LIFT)) == ("running", "")
    assert outcome(name, moved("green", way)) == ("wrong_object", "green")
