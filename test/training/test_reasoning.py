"""What is said of a frame is so: positions in words, and the expert's own next actions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.reasoning_text import ReasoningTokenizer
from dvla_ros.simulation.tasks import TASKS, task_named
from dvla_ros.training.demonstrations import read_demonstrations
from dvla_ros.training.reasoning import Situation, direction, sentence, sentences

OPEN, CLOSED, AROUND_CUBE = 1.0, 0.0, 0.63
TABLE = 0.02
"""Height of a cube's centre on the table."""


def rows(dx=0.0, dy=0.0, dz=0.0, gripper=(1.0, 1.0, 1.0), dyaw=0.0):
    """Eight actions, of which the first three have the given total travel and these gripper commands."""
    actions = np.zeros((8, 7))
    actions[:3, :3] = np.array([dx, dy, dz]) / 3
    actions[:3, 5] = dyaw / 3
    actions[:, 6] = gripper[-1]
    actions[:3, 6] = gripper
    return actions


def situation(task, at, cube, opening, actions, place=None):
    state = np.array([*at, 0.0, 0.0, 0.0, opening])
    return Situation(task_named(task), state, np.array(cube), np.array(cube if place is None else place), actions)


HIGH = (0.25, 0.0, 0.15)
KEPT = (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            situation("pick_red", HIGH, (0.33, 0.08, TABLE), OPEN, rows(0.06, 0.06)),
            "the red cube is ahead to the left; the gripper is open. next: move over it.",
        ),
        (
            situation("pick_red", HIGH, (0.33, 0.08, TABLE), OPEN, rows(0.06, 0.06, -0.06)),
            "the red cube is ahead to the left; the gripper is open. next: move over it and down.",
        ),
        (
            situation("pick_blue", HIGH, (0.18, -0.10, TABLE), OPEN, rows(dyaw=0.5)),
            "the blue cube is behind to the right; the gripper is open. next: turn.",
        ),
        (
            situation("pick_green", HIGH, (0.25, 0.01, TABLE), OPEN, rows(dz=-0.12)),
            "the green cube is below; the gripper is open. next: go down.",
        ),
        (
            situation("pick_green", (0.25, 0.0, 0.05), (0.25, 0.0, TABLE), OPEN, rows(dz=-0.03, gripper=(1, 1, 0))),
            "the green cube is below; the gripper is open. next: go down and close.",
        ),
        (
            situation("pick_green", (0.25, 0.0, 0.02), (0.25, 0.0, TABLE), OPEN, rows(dz=0.08, gripper=KEPT)),
            "the green cube is between the fingers; the gripper is open. next: close.",
        ),
        (
            situation("pick_green", (0.25, 0.0, 0.05), (0.25, 0.0, TABLE), CLOSED, rows(dz=0.04)),
            "the green cube is below; the gripper is closed. next: open and go up.",
        ),
        (
            situation("pick_green", (0.25, 0.0, 0.10), (0.25, 0.0, TABLE), CLOSED, rows(dz=-0.04)),
            "the green cube is below; the gripper is closed. next: open.",
        ),
        (
            situation("pick_red", (0.25, 0.0, 0.1), (0.25, 0.0, 0.1), AROUND_CUBE, rows(dz=0.1, gripper=KEPT)),
            "holding the red cube. next: lift it.",
        ),
        (
            situation("pick_red", (0.25, 0.0, 0.2), (0.25, 0.0, 0.2), AROUND_CUBE, rows(gripper=KEPT)),
            "holding the red cube. next: hold it.",
        ),
        (
            situation(
                "put_red_on_plate", HIGH, HIGH, AROUND_CUBE, rows(0.1, 0.02, gripper=KEPT), place=(0.35, 0.03, 0.005)
            ),
            "holding the red cube; the plate is ahead to the left. next: carry it there.",
        ),
        (
            situation(
                "stack_red_on_blue", HIGH, HIGH, AROUND_CUBE, rows(dz=-0.08, gripper=KEPT), place=(0.25, 0.0, TABLE)
            ),
            "holding the red cube; the blue cube is below. next: lower it.",
        ),
        (
            situation(
                "stack_red_on_blue",
                HIGH,
                HIGH,
                AROUND_CUBE,
                rows(dz=-0.08, gripper=(0, 0, 1)),
                place=(0.25, 0.0, TABLE),
            ),
            "holding the red cube; the blue cube is below. next: lower it and let go.",
        ),
        (
            situation(
                "put_red_on_plate",
                (0.25, 0.0, 0.03),
                (0.25, 0.0, 0.03),
                AROUND_CUBE,
                rows(dz=0.04),
                place=(0.25, 0.0, 0.005),
            ),
            "holding the red cube; the plate is below. next: let go.",
        ),
        (
            situation(
                "put_red_on_plate", (0.25, 0.0, 0.05), (0.25, 0.0, 0.03), OPEN, rows(dz=0.1), place=(0.25, 0.0, 0.005)
            ),
            "the red cube is on the plate; the gripper is open. next: go up.",
        ),
        (
            situation("stack_red_on_blue", HIGH, (0.25, 0.0, 0.06), OPEN, rows(), place=(0.25, 0.0, TABLE)),
            "the red cube is on the blue cube; the gripper is open. next: stay.",
        ),
        (
            situation("push_blue_left", HIGH, (0.25, 0.15, TABLE), CLOSED, rows(dy=0.09, dz=-0.02, gripper=KEPT)),
            "the blue cube is to the left; the gripper is closed. next: move beside it.",
        ),
        (
            situation("push_blue_right", (0.25, 0.06, 0.03), (0.25, 0.0, TABLE), CLOSED, rows(dy=-0.09, gripper=KEPT)),
            "the blue cube is to the right; the gripper is closed. next: push it right.",
        ),
        (
            situation(
                "push_blue_left",
                (0.25, 0.06, 0.03),
                (0.25, 0.0, TABLE),
                CLOSED,
                rows(dz=0.09, gripper=KEPT),
            ),
            "the blue cube is to the right; the gripper is closed. next: go up.",
        ),
    ],
)
def test_each_phase_has_its_words(case, expected):
    assert sentence(case) == expected


def test_an_open_gripper_around_a_cube_does_not_hold_it():
    near = situation("pick_red", (0.25, 0.0, 0.02), (0.25, 0.0, 0.02), AROUND_CUBE, rows(gripper=KEPT))
    assert near.held
    assert not replace(near, state=np.array([0.25, 0.0, 0.02, 0, 0, 0, OPEN])).held
    assert not replace(near, state=np.array([0.25, 0.0, 0.02, 0, 0, 0, CLOSED])).held
    assert not replace(near, target=np.array([0.25, 0.04, 0.02])).held


def test_only_the_actions_before_the_next_look_are_spoken_of():
    later = rows()
    later[3:, :3] = 0.03
    later[3:, 6] = 0.0
    assert sentence(situation("pick_red", HIGH, (0.25, 0.0, TABLE), OPEN, later)).endswith("next: stay.")


@given(x=st.floats(-0.3, 0.3), y=st.floats(-0.3, 0.3), z=st.floats(-0.3, 0.0))
def test_opposite_directions_have_opposite_words(x, y, z):
    opposite = {"ahead": "behind", "behind": "ahead", "left": "right", "right": "left"}
    there, back = direction(np.array([x, y, z])), direction(np.array([-x, -y, z]))
    assert back.split() == [opposite.get(word, word) for word in there.split()]


@given(
    task=st.sampled_from(sorted(TASKS)),
    away=st.tuples(*[st.floats(-0.15, 0.15)] * 3),
    place=st.tuples(*[st.floats(-0.15, 0.15)] * 3),
    opening=st.sampled_from([OPEN, CLOSED, AROUND_CUBE]),
    travel=st.tuples(*[st.floats(-0.12, 0.12)] * 3),
    gripper=st.tuples(*[st.sampled_from([0.0, 1.0])] * 3),
)
def test_every_situation_has_a_short_sentence(task, away, place, opening, travel, gripper):
    at = np.array(HIGH)
    said = sentence(situation(task, at, at + away, opening, rows(*travel, gripper), at + place))
    assert len(said.split()) <= 18
    assert said.endswith(".") and said.count("next:") == 1


def test_demonstrations_are_told_truly(collected):
    demonstrations = read_demonstrations([collected[0]])
    said = sentences(demonstrations)
    assert len(said) == len(demonstrations) and said == sentences(demonstrations)
    for text, actions in zip(said, demonstrations.actions, strict=True):
        lifting, closing = "lift it" in text, text.endswith("close.")
        assert not lifting or actions[:3, 2].sum() > 0
        assert not closing or actions[:3, 6].min() == 0.0
    assert {"push", "move", "go"} <= {text.split("next: ")[1].split()[0] for text in said}
    length = ReasoningTokenizer.fit(said).length(said)
    assert length <= 20


def test_recordings_have_nothing_to_reason_about(collected):
    demonstrations = read_demonstrations([collected[0]])
    points = demonstrations.points.copy()
    points[1] = np.nan
    with pytest.raises(ConfigurationError, match=r"1 of \d+ frames come from recordings.*reason=false"):
        sentences(replace(demonstrations, points=points))
