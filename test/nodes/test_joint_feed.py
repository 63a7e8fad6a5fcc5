"""The newest joint state, and why there is none."""

import numpy as np
import pytest
from sensor_msgs.msg import JointState

from dvla_ros.control.widowx import FINGER_OPEN, JOINT_STATE_ORDER, NEUTRAL
from dvla_ros.errors import ObservationError
from dvla_ros.nodes.conversions import to_time
from dvla_ros.nodes.joint_feed import JointFeed


def joints(stamp, waist=0.0):
    message = JointState(name=list(JOINT_STATE_ORDER), position=[*NEUTRAL.tolist(), 0.0, FINGER_OPEN, -FINGER_OPEN])
    message.position[0] = waist
    message.header.stamp = to_time(stamp)
    return message


def test_a_joint_state_is_fresh_until_the_timeout():
    feed = JointFeed(timeout_s=0.2)
    assert feed.problem(5.0) == "no joint_states arrived yet."
    feed.receive(joints(5.0, waist=0.3), 5.01)
    assert feed.fresh(5.2).arm[0] == 0.3
    assert feed.problem(5.2) == ""
    assert feed.fresh(5.3) is None
    assert feed.problem(5.51) == "joint_states stopped 0.50 s ago."


def test_a_clock_set_back_makes_no_old_joint_state_fresh():
    feed = JointFeed(timeout_s=0.2)
    feed.receive(joints(100.0), 100.0)
    assert feed.fresh(90.0) is None
    feed.receive(joints(90.0), 90.0)
    assert feed.fresh(90.0) is not None


def test_a_joint_state_that_is_repeated_ages():
    feed = JointFeed(timeout_s=0.2)
    for now in (5.0, 5.1, 5.2, 5.3):
        feed.receive(joints(5.0), now)
    assert feed.fresh(5.3) is None
    assert "stamped 5.000 s, comes again and again" in feed.problem(5.3)
    feed.receive(joints(5.4), 5.4)
    assert feed.problem(5.4) == ""


def test_joint_states_without_stamps_count_by_their_arrival():
    feed = JointFeed(timeout_s=0.2)
    for now in (5.0, 5.2, 5.4):
        feed.receive(joints(0.0), now)
    assert feed.fresh(5.5) is not None


def test_a_joint_state_that_is_not_finite_is_refused_and_named():
    feed = JointFeed(timeout_s=0.2)
    feed.receive(joints(5.0), 5.0)
    with pytest.raises(ObservationError, match="not a finite number for waist"):
        feed.receive(joints(5.1, waist=float("nan")), 5.1)
    assert feed.fresh(5.1).stamp == 5.0
    assert "not a finite number for waist" in feed.problem(5.3)


def test_a_jump_that_no_motor_makes_is_noticed():
    feed = JointFeed(timeout_s=0.2)
    assert not feed.receive(joints(5.0), 5.0)
    assert not feed.receive(joints(5.1, waist=0.3), 5.1)
    assert feed.receive(joints(5.2, waist=2.0), 5.2)
    np.testing.assert_array_equal(feed.newest.arm[1:], NEUTRAL[1:])
