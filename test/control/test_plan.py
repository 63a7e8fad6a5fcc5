"""Which row is executed at a time, and where it leads."""

import numpy as np
import pytest

from dvla_ros.control.action_space import Target
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.motion import Waypoint
from dvla_ros.control.plan import Plan, Row

T0 = 1_700_000_000.0
START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
STEP = np.full(6, 0.02)


def row(index: int, due: float | None = None, waypoints: int = 1) -> Row:
    """Row `index` of 0.2 s that moves every joint by 0.02 rad."""
    begin = T0 + (0.2 * index if due is None else due)
    start = START + index * STEP
    path = tuple(
        Waypoint(begin + 0.2 * part / waypoints, start + STEP * part / waypoints) for part in range(1, waypoints + 1)
    )
    target = Target(start + STEP, forward(start + STEP), 0.5)
    return Row(begin, begin + 0.2, np.zeros(7), ControlMode.EE_DELTA, (0, 0, index), start, path, target)


def test_row_is_current_from_its_due_time_to_the_next() -> None:
    plan = Plan((row(0, 1.0), row(1, 1.2)))
    assert plan.at(T0 + 0.999) is None
    assert plan.at(T0 + 1.0) is plan.rows[0]
    assert plan.at(T0 + 1.199) is plan.rows[0]
    assert plan.at(T0 + 1.2) is plan.rows[1]
    assert plan.at(T0 + 1.4) is None
    assert Plan().at(T0) is None


def test_rows_of_two_chunks_on_one_grid_leave_no_gap() -> None:
    plan = Plan((row(0, 1.0), row(1, 1.2009)))
    assert plan.at(T0 + 1.2004) is plan.rows[0]
    assert plan.at(T0 + 1.201) is plan.rows[1]


def test_rows_left_counts_the_current_one() -> None:
    plan = Plan(tuple(row(index) for index in range(4)))
    assert [plan.rows_left(T0 + time) for time in (-1.0, 0.0, 0.3, 0.79, 0.8, 5.0)] == [4, 4, 3, 1, 0, 0]
    assert Plan().rows_left(T0) == 0


def test_stretch_has_the_rows_that_smooth_motion_needs_to_know() -> None:
    plan = Plan(tuple(row(index) for index in range(8)))
    assert len(plan.stretch(0, 2, 0.8, 16)) == 4
    assert len(plan.stretch(6, 2, 0.8, 16)) == 2
    assert len(plan.stretch(0, 6, 0.1, 16)) == 6
    assert len(Plan(tuple(row(index, waypoints=4) for index in range(8))).stretch(0, 2, 9.0, 12)) == 3


def test_stretch_ends_where_a_gap_begins() -> None:
    plan = Plan((row(0), row(1), row(2, 0.5)))
    assert len(plan.stretch(0, 3, 9.0, 99)) == 2
    assert [plan.ends_with(each) for each in plan.rows] == [False, True, True]


def test_joints_go_straight_between_the_waypoints() -> None:
    bent = row(0, waypoints=2)
    np.testing.assert_allclose(bent.joints_at(T0), START)
    np.testing.assert_allclose(bent.joints_at(T0 + 0.15), START + 0.75 * STEP, atol=1e-6)
    np.testing.assert_allclose(bent.velocity, STEP / 0.2, rtol=1e-5)


def test_row_that_is_cut_short_ends_where_it_was_to_be() -> None:
    short = row(0, waypoints=4).until(T0 + 0.12)
    assert short.end == pytest.approx(T0 + 0.12)
    assert [waypoint.time - T0 for waypoint in short.path] == pytest.approx([0.05, 0.1, 0.12], abs=1e-6)
    np.testing.assert_allclose(short.target.joints, START + 0.6 * STEP, atol=1e-6)
    np.testing.assert_allclose(short.target.pose, forward(short.target.joints))
    assert short.target.gripper == 0.5
