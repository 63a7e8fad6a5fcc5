"""The gate for planned rows: the way, not only its end."""

import numpy as np
import pytest

from dvla_ros.control.action_space import Target
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.motion import Waypoint
from dvla_ros.control.path_gate import PathGate
from dvla_ros.control.plan import Row
from dvla_ros.control.safety import SafetyConfig
from dvla_ros.control.widowx import UPPER

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
REST = np.zeros(6)


def rows(*goals: np.ndarray, dt: float = 0.2) -> list[Row]:
    """Rows that lead from START straight through the goals."""
    made, start = [], START
    for index, goal in enumerate(goals):
        due, end = index * dt, (index + 1) * dt
        target, key = Target(goal, forward(goal), 1.0), (0, 0, index)
        path = (Waypoint(end, goal),)
        made.append(Row(due, end, np.zeros(7), ControlMode.JOINT_POSITION, key, start, path, target))
        start = goal
    return made


def moved(**joints: float) -> np.ndarray:
    """START with some joints moved: `j0=0.1`."""
    goal = START.copy()
    for name, way in joints.items():
        goal[int(name[1])] += way
    return goal


def check(made: list[Row], velocity: np.ndarray = REST, config: SafetyConfig | None = None) -> tuple[int, str]:
    good, why = PathGate(config or SafetyConfig()).check(made, velocity)
    return good, why.reason


def test_gentle_rows_pass() -> None:
    assert check(rows(moved(j0=0.1), moved(j0=0.2), moved(j0=0.2))) == (3, "")
    assert check([]) == (0, "")


@pytest.mark.parametrize(
    ("goals", "dt", "reason"),
    [
        ((moved(j0=0.1), moved(j0=0.75)), 0.3, "joint_step"),
        ((moved(j0=0.1), moved(j0=0.5)), 0.12, "speed"),
        ((moved(j5=0.03), moved(j5=0.0)), 0.02, "acceleration"),
        ((moved(j5=0.01), moved(j5=0.015)), 0.01, "acceleration"),
        ((moved(j5=0.0), moved(j5=0.0005)), 0.005, "jerk"),
        ((*(moved(j5=0.55 * step) for step in range(1, 6)), np.array([*START[:5], UPPER[5]])), 2.0, "joint_limit"),
        ((moved(j0=-0.1), moved(j0=-0.5), moved(j0=-0.9), moved(j0=-1.3)), 0.5, "workspace"),
    ],
)
def test_first_row_that_asks_for_too_much_is_named(goals: tuple[np.ndarray, ...], dt: float, reason: str) -> None:
    good, why = check(rows(*goals, dt=dt))
    assert why == reason
    assert good < len(goals)


def test_rows_before_the_failing_one_may_be_executed() -> None:
    assert check(rows(moved(j0=0.1), moved(j0=0.2), moved(j0=0.9))) == (2, "joint_step")


def test_joint_limit_is_kept_with_its_margin() -> None:
    near = START.copy()
    near[5] = UPPER[5] - 0.5
    over = near.copy()
    over[5] = UPPER[5] - 0.015
    made = rows(near, over)
    assert check(made[1:]) == (0, "joint_limit")


def test_speed_is_asked_for_from_the_row_before_not_from_rest() -> None:
    fast, slow = np.array([2.5, 0, 0, 0, 0, 0]), REST
    made = rows(moved(j0=0.05), dt=0.02)
    assert check(made, fast) == (1, "")
    assert check(made, slow) == (0, "acceleration")


def test_way_through_a_forbidden_place_is_found_though_both_ends_are_allowed() -> None:
    a, b = START + np.array([0.25, 0, 0, 0, 0, 0]), START - np.array([0.25, 0, 0, 0, 0, 0])
    reach = max(forward(a)[0, 3], forward(b)[0, 3]) + 1e-4  # the middle of the swing is further out
    config = SafetyConfig(workspace_lower=(0.1, -0.3, -0.01), workspace_upper=(reach, 0.3, 0.4))
    made = [Row(0.0, 1.0, np.zeros(7), ControlMode.JOINT_POSITION, (0, 0, 0), a, (Waypoint(1.0, b),), _target(b))]
    assert check(made, config=config) == (0, "workspace")
    assert check(made) == (1, "")


def _target(joints: np.ndarray) -> Target:
    return Target(joints, forward(joints), 1.0)
