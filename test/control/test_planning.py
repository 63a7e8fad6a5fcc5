"""From rows to waypoints."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.control.action_space import Target, pose_from_action
from dvla_ros.control.bridge import apply_delta
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import WidowXKinematics, forward
from dvla_ros.control.plan import RowRequest
from dvla_ros.control.planning import Beginning, Planned, RowPlanner
from dvla_ros.control.rotation import euler_from_matrix, rotation_angle
from dvla_ros.control.safety import SafetyConfig

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
HERE = Target(START, forward(START), 1.0)
PLANNER = RowPlanner(WidowXKinematics(), SafetyConfig(), 0.4)


def plan(
    actions: np.ndarray,
    mode: ControlMode = ControlMode.EE_DELTA,
    *,
    centre: np.ndarray | None = None,
    offset: np.ndarray | None = None,
    dt: float = 0.2,
    begin: Target = HERE,
) -> Planned:
    requests = [
        RowRequest(index * dt, (index + 1) * dt, np.asarray(row, np.float32), mode, (0, 0, index))
        for index, row in enumerate(actions)
    ]
    where = begin.pose[:3, 3] if centre is None else centre
    return PLANNER.plan(requests, Beginning(begin, where, np.zeros(6), offset))


def test_increments_follow_each_other_and_the_joints_reach_the_poses() -> None:
    rows = plan(np.tile([0.01, 0.005, 0.0, 0.0, 0.0, 0.05, 0.4], (6, 1))).rows
    pose = forward(START)
    for row in rows:
        pose, _ = apply_delta(pose, pose, row.action)
        np.testing.assert_allclose(row.target.pose, pose, atol=1e-9)
        np.testing.assert_allclose(forward(row.target.joints), pose, atol=1e-3)
        np.testing.assert_array_equal(row.path[-1].joints, row.target.joints)
        assert row.path[-1].time == row.end
    for before, after in pairwise(rows):
        np.testing.assert_array_equal(after.start, before.target.joints)


def test_first_increment_turns_about_the_measured_position_and_later_ones_about_the_planned_one() -> None:
    turn = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 1.0])
    measured = forward(START)
    measured[:3, 3] += [-0.03, 0.01, 0.0]
    first, second = plan(np.stack([turn, turn]), centre=measured[:3, 3]).rows
    expected, _ = apply_delta(forward(START), measured, first.action)
    np.testing.assert_allclose(first.target.pose, expected, atol=1e-9)
    np.testing.assert_allclose(second.target.pose[:3, 3], expected[:3, 3], atol=1e-9)


small = st.tuples(
    st.lists(st.floats(-0.05, 0.05), min_size=3, max_size=3), st.lists(st.floats(-0.25, 0.25), min_size=3, max_size=3)
).map(lambda parts: np.array([*parts[0], *parts[1], 1.0]))


@settings(max_examples=30)
@given(small)
def test_way_of_a_row_is_straight(action: np.ndarray) -> None:
    planned = plan(action[None], dt=0.5)
    for row in planned.rows:
        a, b = forward(START), row.target.pose
        way = b[:3, 3] - a[:3, 3]
        for time in np.linspace(0.0, 0.5, 11):
            point = forward(row.joints_at(time))[:3, 3] - a[:3, 3]
            part = np.clip(point @ way / max(way @ way, 1e-12), 0.0, 1.0)
            assert np.linalg.norm(point - part * way) < 3.5e-3


def test_short_straight_row_has_one_waypoint_and_a_bowed_one_has_more() -> None:
    (short,) = plan(np.array([[0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])).rows
    assert len(short.path) == 1
    pose = forward(START)
    far = np.concatenate([pose[:3, 3] + [-0.09, 0.0, 0.0], euler_from_matrix(pose[:3, :3]), [1.0]])
    (bowed,) = plan(far[None], ControlMode.EE_POSE, dt=1.0).rows
    assert len(bowed.path) == 4
    assert [waypoint.time for waypoint in bowed.path] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    ways = np.linalg.norm(np.diff([forward(joints)[:3, 3] for joints in _points(bowed)], axis=0), axis=1)
    assert ways[0] < ways[1] and ways[3] < ways[2]  # speeds up from rest, and slows down to it


def _points(row: object) -> list[np.ndarray]:
    return [row.start, *(waypoint.joints for waypoint in row.path)]  # type: ignore[attr-defined]


def test_unreachable_row_ends_the_plan_and_is_named() -> None:
    planned = plan(np.tile([0.05, 0.0, 0.05, 0.0, 0.0, 0.0, 1.0], (8, 1)), dt=0.5)
    assert 0 < len(planned.rows) < 8
    assert planned.why.reason in ("unreachable", "joint_step", "speed")
    far = np.array([[0.9, 0.0, 0.3, 0.0, 0.0, 0.0, 1.0]])
    assert plan(far, ControlMode.EE_POSE).why.reason == "unreachable"


def test_increments_are_clipped_to_the_box() -> None:
    rows = plan(np.tile([0.0, 0.05, 0.0, 0.0, 0.0, 0.0, 1.0], (8, 1)), dt=0.5).rows
    assert len(rows) == 8
    assert max(row.target.pose[1, 3] for row in rows) == pytest.approx(0.3)


def test_offset_fades_out_in_its_time() -> None:
    goals = START + np.outer(np.arange(1, 5), np.full(6, 0.02))
    offset = np.full(6, 0.08)
    rows = plan(np.column_stack([goals, np.ones(4)]), ControlMode.JOINT_POSITION, offset=offset).rows
    off = [float(row.target.joints[0] - goal[0]) for row, goal in zip(rows, goals, strict=True)]
    assert off == pytest.approx([0.04, 0.0, 0.0, 0.0], abs=1e-6)


def test_offset_leaves_the_rows_of_another_chunk_where_they_are() -> None:
    goals = START + np.outer(np.arange(1, 3), np.full(6, 0.02))
    actions = np.column_stack([goals, np.ones(2)]).astype(np.float32)
    pose = forward(goals[1])
    behind = np.array([*pose[:3, 3], *euler_from_matrix(pose[:3, :3]), 1.0], np.float32)
    requests = [
        *(RowRequest(0.1 * i, 0.1 * (i + 1), actions[i], ControlMode.JOINT_POSITION, (0, 1, i)) for i in range(2)),
        RowRequest(0.2, 0.3, behind, ControlMode.EE_POSE, (0, 0, 5)),
    ]
    rows = PLANNER.plan(requests, Beginning(HERE, HERE.pose[:3, 3], np.zeros(6), np.full(6, 0.02))).rows
    assert rows[0].target.joints[0] == pytest.approx(goals[0, 0] + 0.015, abs=1e-6)
    np.testing.assert_allclose(rows[2].target.pose, pose, atol=1e-6)


def test_offset_of_a_pose_fades_as_rotation() -> None:
    pose = forward(START)
    row = np.concatenate([pose[:3, 3], euler_from_matrix(pose[:3, :3]), [1.0]])
    offset = np.eye(4)
    offset[:3, :3] = pose_from_action(np.array([0, 0, 0, 0, 0, 0.1, 0]))[:3, :3]
    offset[:3, 3] = [0.0, 0.02, 0.0]
    first, second = plan(np.stack([row, row]), ControlMode.EE_POSE, offset=offset).rows
    assert first.target.pose[1, 3] - pose[1, 3] == pytest.approx(0.01, abs=1e-6)
    assert rotation_angle(first.target.pose[:3, :3], pose[:3, :3]) == pytest.approx(0.05, abs=1e-6)
    np.testing.assert_allclose(second.target.pose, pose, atol=1e-6)
