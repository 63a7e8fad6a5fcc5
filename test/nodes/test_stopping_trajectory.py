"""The trajectory that stops an arm whose commander is gone."""

import numpy as np
import pytest
from sensor_msgs.msg import JointState

from dvla_ros.control.widowx import ARM_JOINTS, NEUTRAL, UPPER
from dvla_ros.errors import ObservationError
from dvla_ros.nodes.conversions import seconds
from dvla_ros.nodes.stopping_trajectory import DECELERATION, stopping_trajectory


def joint_state(velocities, positions=NEUTRAL):
    return JointState(name=list(ARM_JOINTS), position=list(positions), velocity=list(velocities))


def test_the_fastest_joint_brakes_as_hard_as_allowed_and_all_end_at_rest():
    velocities = np.array([3.0, -1.0, 0.0, 0.5, 0.0, 0.0])
    trajectory = stopping_trajectory(joint_state(velocities))
    (point,) = trajectory.points
    duration = seconds(point.time_from_start)
    assert duration == pytest.approx(3.0 / DECELERATION)
    assert np.array(point.positions) == pytest.approx(NEUTRAL + 0.5 * duration * velocities)
    assert list(point.velocities) == [0.0] * 6 and list(trajectory.joint_names) == list(ARM_JOINTS)


@pytest.mark.parametrize("velocities", [[], [float("nan")] * 6])
def test_without_velocities_the_arm_stays_where_it_is(velocities):
    (point,) = stopping_trajectory(joint_state(velocities)).points
    assert list(point.positions) == pytest.approx(NEUTRAL.tolist())


def test_the_way_to_rest_ends_at_the_joint_limits():
    (point,) = stopping_trajectory(joint_state([3.0] * 6, UPPER - 0.01)).points
    assert np.all(np.array(point.positions) <= UPPER)


def test_a_missing_joint_is_an_error():
    with pytest.raises(ObservationError, match="waist"):
        stopping_trajectory(JointState(name=["shoulder"], position=[0.0]))
