"""Bridge semantics against numbers that were derived elsewhere, see `data/README.md`, and against quaternions."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.action_space import Target, next_target
from dvla_ros.control.bridge import apply_delta, bridge_state, clip_action, delta_between, pose_from_state, state
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import WidowXKinematics, forward
from dvla_ros.control.rotation import matrix_from_euler
from dvla_ros.control.widowx import FINGER_OPEN, NEUTRAL, finger_from_gripper
from dvla_ros.control.workspace import BRIDGE_BOX, OPENVLA_BOX, TABLETOP_BOX, WorkspaceBox

EPISODES = json.loads((Path(__file__).parent / "data/bridge_episodes.json").read_text())
EVERYWHERE = WorkspaceBox((-9.0, -9.0, -9.0), (9.0, 9.0, 9.0))
DIGITS = 1e-11

every_episode = pytest.mark.parametrize("episode", EPISODES, ids=lambda episode: episode["name"])


def box(episode: dict[str, Any]) -> WorkspaceBox:
    return WorkspaceBox(tuple(episode["lower"]), tuple(episode["upper"]))


def at(position: list[float]) -> np.ndarray:
    """A measured pose at the position; its orientation must not count."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = matrix_from_euler(np.array([0.4, -0.3, 1.1])), position
    return pose


@every_episode
def test_commanded_states_are_those_of_the_bridge_environment(episode: dict[str, Any]) -> None:
    target, _ = pose_from_state(np.array(episode["start"], np.float64))
    for step in episode["steps"]:
        target, gripper = apply_delta(target, at(step["measured"]), np.array(step["action"]), box(episode))
        np.testing.assert_allclose(state(target, gripper), step["target"], atol=DIGITS)


@every_episode
def test_commanded_states_give_the_actions_back_and_these_the_states(episode: dict[str, Any]) -> None:
    before, _ = pose_from_state(np.array(episode["start"], np.float64))
    for step in episode["steps"]:
        wanted, gripper = pose_from_state(np.array(step["target"]))
        action = delta_between(before, wanted, at(step["measured"]), gripper)
        reached, opening = apply_delta(before, at(step["measured"]), action, EVERYWHERE)
        np.testing.assert_allclose(state(reached, opening), step["target"], atol=10 * DIGITS)
        if not touches(box(episode), wanted[:3, 3]):
            np.testing.assert_allclose(action, clip_action(np.array(step["action"])), atol=10 * DIGITS)
        before = wanted


def touches(workspace: WorkspaceBox, position: np.ndarray) -> bool:
    return bool((np.isclose(position, workspace.lower) | np.isclose(position, workspace.upper)).any())


def test_some_episodes_touch_the_walls_and_others_the_range_of_an_action() -> None:
    steps = [(box(episode), step) for episode in EPISODES for step in episode["steps"]]
    clipped = [step for _, step in steps if (clip_action(np.array(step["action"])) != step["action"]).any()]
    at_wall = [step for walls, step in steps if touches(walls, np.array(step["target"][:3]))]
    assert {BRIDGE_BOX, OPENVLA_BOX} < {walls for walls, _ in steps}
    assert len(clipped) > 5 and len(at_wall) > 5


def test_rows_of_a_chunk_lead_the_arm_through_the_states() -> None:
    """From the neutral pose, through inverse and forward kinematics; the arm lags 3 mm behind its command."""
    kinematics, rng = WidowXKinematics(), np.random.default_rng(3)
    now = Target(NEUTRAL, forward(NEUTRAL), 1.0)
    expected = now.pose
    for _ in range(6):
        action = np.array([*rng.uniform(-0.02, 0.02, 3), *rng.uniform(-0.1, 0.1, 3), rng.uniform()])
        measured = at(now.pose[:3, 3] - [0.003, 0.0, 0.0])
        expected, gripper = apply_delta(expected, measured, action, TABLETOP_BOX)
        now = next_target(action, ControlMode.EE_DELTA, now, measured, kinematics, TABLETOP_BOX)
        reached = bridge_state(now.joints, finger_from_gripper(now.gripper))
        np.testing.assert_allclose(reached, state(expected, gripper), atol=1e-3)


def test_start_pose_of_openvla_is_pitched_up_by_60_degrees() -> None:
    """x, y, z, w = 0, -0.259, 0, -0.966: the gripper points 30 degrees below the horizon, 60 above straight down."""
    half = math.radians(30.0) / 2
    pose = at([0.3, -0.09, 0.26])
    pose[:3, :3] = matrix_of((math.cos(half), 0.0, math.sin(half), 0.0))
    np.testing.assert_allclose(pose[:3, 0], [math.cos(math.pi / 6), 0.0, -0.5], atol=1e-12)
    np.testing.assert_allclose(state(pose, 1.0), [0.3, -0.09, 0.26, 0.0, -math.pi / 3, 0.0, 1.0], atol=1e-12)


@pytest.mark.parametrize(("finger", "opening"), [(0.015, 0.0), (0.0205, 0.25), (0.026, 0.5), (0.037, 1.0)])
def test_gripper_is_absolute_zero_closed_and_one_open(finger: float, opening: float) -> None:
    assert bridge_state(NEUTRAL, finger)[6] == pytest.approx(opening)
    _, commanded = apply_delta(forward(NEUTRAL), forward(NEUTRAL), np.array([0, 0, 0, 0, 0, 0, opening]))
    assert finger_from_gripper(commanded) == pytest.approx(finger)
    assert bridge_state(NEUTRAL, FINGER_OPEN)[6] == 1.0


Quaternion = tuple[float, float, float, float]
"""w, x, y, z"""


def product(a: Quaternion, b: Quaternion) -> Quaternion:
    vector = a[0] * np.array(b[1:]) + b[0] * np.array(a[1:]) + np.cross(a[1:], b[1:])
    return (a[0] * b[0] - float(np.dot(a[1:], b[1:])), *map(float, vector))


def about(axis: int, angle: float) -> Quaternion:
    vector = [0.0, 0.0, 0.0]
    vector[axis] = math.sin(angle / 2)
    return (math.cos(angle / 2), *vector)


def matrix_of(q: Quaternion) -> np.ndarray:
    """Columns are the turned axes, q e q*."""
    back = (q[0], -q[1], -q[2], -q[3])
    return np.array([product(product(q, (0.0, *axis)), back)[1:] for axis in np.eye(3).tolist()]).T


small = st.floats(-0.25, 0.25)
wide = st.floats(-math.pi, math.pi)


@given(st.tuples(wide, st.floats(-1.5, 1.5), wide), st.tuples(small, small, small), st.tuples(small, small, small))
def test_an_action_turns_about_the_axes_of_the_base_x_before_y_before_z(
    start: tuple[float, float, float], turn: tuple[float, float, float], lead: tuple[float, float, float]
) -> None:
    previous, _ = pose_from_state(np.array([0.3, 0.0, 0.2, *start, 1.0]))
    target, _ = apply_delta(previous, at(previous[:3, 3] - lead), np.array([0, 0, 0, *turn, 1.0]), EVERYWHERE)
    roll, pitch, yaw = turn
    expected = matrix_of(product(about(2, yaw), product(about(1, pitch), about(0, roll))))
    downward = about(1, math.pi / 2)
    tilted = product(product(about(2, start[2]), product(about(1, start[1]), about(0, start[0]))), downward)
    np.testing.assert_allclose(target[:3, :3], expected @ matrix_of(tilted), atol=1e-12)
    np.testing.assert_allclose(target[:3, 3], previous[:3, 3] - lead + expected @ np.array(lead), atol=1e-12)
