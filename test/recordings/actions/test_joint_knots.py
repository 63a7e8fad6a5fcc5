"""Commands of joints are followed as a joint_trajectory_controller would."""

import bags
import numpy as np
import pytest

from dvla_ros.recordings.actions.joint_knots import JointKnots


def trajectory(times, positions, velocities=None, stamp=0.0):
    def point(index):
        return bags.make(
            "trajectory_msgs/msg/JointTrajectoryPoint",
            positions=np.array([positions[index]]),
            velocities=np.array([velocities[index]]) if velocities else np.empty(0),
            accelerations=np.empty(0),
            effort=np.empty(0),
            time_from_start=bags.duration(times[index]),
        )

    kind = "trajectory_msgs/msg/JointTrajectory"
    points = [point(index) for index in range(len(times))]
    return bags.make(kind, header=bags.header(stamp), joint_names=["a"], points=points)


def sample(knots, times):
    return knots.series(0.3, 1.0).sample(np.array(times))[:, 0]


def test_a_new_trajectory_replaces_what_was_still_to_come_and_starts_where_the_old_one_had_come_to():
    knots = JointKnots(("a",))
    assert knots.follow(10.0, trajectory([0.0, 2.0], [0.0, 2.0]))
    assert knots.follow(11.0, trajectory([1.0], [0.0]))
    np.testing.assert_allclose(sample(knots, [10.5, 11.0, 11.5, 12.0, 12.5]), [0.5, 1.0, 0.5, 0.0, 0.0], atol=1e-9)


def test_a_command_after_a_rest_starts_when_it_comes():
    knots = JointKnots(("a",))
    knots.hold(10.0, [1.0])
    knots.follow(20.0, trajectory([1.0], [2.0]))
    np.testing.assert_allclose(sample(knots, [20.0, 20.5, 21.0]), [1.0, 1.5, 2.0], atol=1e-9)


def test_velocities_make_cubics():
    knots = JointKnots(("a",))
    knots.follow(10.0, trajectory([0.0, 1.0], [0.0, 1.0], [0.0, 0.0], stamp=10.0))
    s = np.linspace(0.0, 1.0, 21)
    np.testing.assert_allclose(sample(knots, 10.0 + s), 3 * s**2 - 2 * s**3, atol=1e-3)


@pytest.mark.parametrize(
    "message",
    [
        trajectory([], []),
        trajectory([1.0, 1.0], [0.0, 1.0]),
        trajectory([1.0], [np.nan]),
    ],
)
def test_what_is_no_trajectory_is_refused(message):
    knots = JointKnots(("a",))
    assert not knots.follow(10.0, message) and not len(knots)
