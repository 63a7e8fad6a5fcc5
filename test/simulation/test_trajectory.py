"""The trajectory executor does what joint_trajectory_controller does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.errors import ActionError
from dvla_ros.simulation.trajectory import JointTrajectory, TrajectoryExecutor

NAMES = ("a", "b")


def trajectory(times, positions, velocities=None, accelerations=None, start=0.0, names=NAMES):
    arrays = [None if v is None else np.array(v, dtype=float) for v in (positions, velocities, accelerations)]
    return JointTrajectory(names, start, np.array(times, dtype=float), *arrays)


@pytest.fixture
def executor():
    return TrajectoryExecutor(NAMES, np.array([1.0, 2.0]))


def test_holds_where_it_starts(executor):
    assert executor.sample(123.0).tolist() == [1.0, 2.0]


def test_positions_only_go_in_straight_lines_from_reception(executor):
    executor.accept(trajectory([1.0, 3.0], [[2.0, 2.0], [2.0, 6.0]]), now=10.0)
    assert executor.sample(10.5).tolist() == [1.5, 2.0]
    assert executor.sample(12.0).tolist() == [2.0, 4.0]


def test_the_last_point_is_held(executor):
    executor.accept(trajectory([1.0], [[3.0, 4.0]]), now=0.0)
    assert executor.sample(99.0).tolist() == [3.0, 4.0]


def test_a_trajectory_that_has_begun_is_joined_where_it_is_now(executor):
    executor.accept(trajectory([1.0, 2.0], [[1.5, 2.5], [3.5, 4.5]], start=10.0), now=11.5)
    assert executor.sample(11.75) == pytest.approx([3.0, 4.0])


def test_a_plan_sent_again_from_its_own_states_changes_nothing(executor):
    positions, velocities = [[1.0, 2.0], [2.0, 3.0], [2.5, 3.0]], [[0.0, 0.0], [0.8, 0.4], [0.0, 0.0]]
    executor.accept(trajectory([0.0, 1.0, 2.0], positions, velocities, start=10.0), now=10.0)
    before = [executor.sample(time).tolist() for time in (11.25, 11.5, 11.75)]
    executor.accept(trajectory([0.0, 1.0], positions[1:], velocities[1:], start=11.0), now=11.01)
    assert [executor.sample(time).tolist() for time in (11.25, 11.5, 11.75)] == before


def test_a_stamp_in_the_future_approaches_the_first_point_from_now(executor):
    executor.accept(trajectory([0.0], [[3.0, 2.0]], start=12.0), now=10.0)
    assert executor.sample(11.0) == pytest.approx([2.0, 2.0])


def test_velocities_give_the_cubic_with_those_end_slopes(executor):
    executor.accept(trajectory([1.0], [[2.0, 2.0]], velocities=[[0.0, 0.0]]), now=0.0)
    s = 0.25
    assert executor.sample(s)[0] == pytest.approx(1.0 + 3 * s**2 - 2 * s**3)


def test_accelerations_give_the_quintic(executor):
    executor.accept(trajectory([1.0], [[2.0, 2.0]], velocities=[[0.0, 0.0]], accelerations=[[0.0, 0.0]]), now=0.0)
    s = 0.25
    assert executor.sample(s)[0] == pytest.approx(1.0 + 10 * s**3 - 15 * s**4 + 6 * s**5)


def test_a_new_trajectory_starts_where_the_running_one_has_come_to(executor):
    executor.accept(trajectory([2.0], [[3.0, 2.0]]), now=0.0)
    executor.accept(trajectory([1.0], [[0.0, 2.0]]), now=1.0)
    assert executor.sample(1.0) == pytest.approx([2.0, 2.0])
    assert executor.sample(1.5) == pytest.approx([1.0, 2.0])


def test_joint_order_of_the_message_does_not_matter(executor):
    executor.accept(trajectory([1.0], [[7.0, 8.0]], names=("b", "a")), now=0.0)
    assert executor.sample(2.0).tolist() == [8.0, 7.0]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (trajectory([1.0], [[1.0, 1.0]], names=("a", "c")), "unknown: c; missing: b"),
        (trajectory([1.0], [[1.0]], names=("a",)), "missing: b"),
        (trajectory([1.0, 1.0], [[1.0, 1.0]] * 2), "increase strictly"),
        (trajectory([1.0], [[1.0, np.nan]]), "finite positions"),
        (trajectory([1.0], [[1.0, 1.0]], velocities=[[0.0, 0.3]]), "zero velocity"),
        (trajectory([1.0], [[1.0, 1.0]], accelerations=[[0.0, 0.0]]), "without velocities"),
        (trajectory([], np.zeros((0, 2))), "no points"),
        (trajectory([1.0], [[1.0, 1.0]], start=3.0), "ended 1.000 s before"),
    ],
)
def test_what_the_controller_refuses_changes_nothing(executor, bad, words):
    executor.accept(trajectory([10.0], [[2.0, 2.0]]), now=0.0)
    with pytest.raises(ActionError, match=words):
        executor.accept(bad, now=5.0)
    assert executor.sample(5.0) == pytest.approx([1.5, 2.0])


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6), st.floats(0.05, 2.0))
def test_a_trajectory_passes_through_its_points(values, step):
    executor = TrajectoryExecutor(("a",), np.zeros(1))
    times = step * np.arange(1, len(values) + 1)
    velocities = np.zeros((len(values), 1))
    executor.accept(trajectory(times, np.array(values)[:, None], velocities=velocities, names=("a",)), now=0.0)
    for time, value in zip(times, values, strict=True):
        assert executor.sample(time - 1e-9)[0] == pytest.approx(value, abs=1e-6)
