"""Whole plans reach ros2_control as trajectories that it accepts and that are the plan."""

import numpy as np
import pytest
from commanded_arm import wait_for_subscriber
from hypothesis import given
from hypothesis import strategies as st
from trajectory_msgs.msg import JointTrajectory

from dvla_ros.control.preview import JointPreview
from dvla_ros.nodes.backends.joint_trajectory import (
    BRAKING,
    MOST_POINTS,
    SHORTEST_S,
    JointTrajectoryBackend,
    ending_at_rest,
    thinned,
)
from dvla_ros.nodes.conversions import seconds
from dvla_ros.nodes.sim_commands import trajectory_from_message
from dvla_ros.simulation.trajectory import TrajectoryExecutor

ARM = "/wx250s/arm_controller/joint_trajectory"


def wave(times):
    """Positions and velocities of six joints that swing."""
    phase = 2.0 * times[:, None] + np.arange(6)
    return 0.4 * np.sin(phase), 0.8 * np.cos(phase)


def preview(count, step=0.02, start=1000.0, version=1):
    times = start + step * np.arange(count)
    return JointPreview(times, *wave(times - start), np.ones(count), version)


def resting(start=1000.0):
    return JointPreview(np.array([start]), np.full((1, 6), 0.2), np.zeros((1, 6)), np.ones(1), 1)


def executed(message, now):
    """What the controller's interpolation makes of a message that arrives at `now`."""
    executor = TrajectoryExecutor(message.joint_names, np.zeros(6))
    executor.accept(trajectory_from_message(message), now)
    return executor


@pytest.fixture
def send(ros_world):
    """Sends a preview and returns what arrives."""
    backend = JointTrajectoryBackend(ros_world.probe, "wx250s", 50.0)
    messages = ros_world.probe.collect(JointTrajectory, ARM)
    wait_for_subscriber(ros_world, ARM)

    def send_preview(plan):
        backend.send_preview(plan, plan.times[0])
        return messages.get(timeout=5)

    yield send_preview
    backend.close()


def test_the_message_has_a_real_stamp_and_times_that_increase(send):
    message = send(preview(151))
    times = [seconds(point.time_from_start) for point in message.points]
    assert seconds(message.header.stamp) == 1000.0
    assert times[0] == 0.0
    assert (np.diff(times) > 0.0).all()


def test_the_controller_follows_the_plan(send):
    plan = preview(151)
    executor = executed(send(plan), now=1000.013)
    for time_s in np.arange(1000.02, 1003.0, 0.011):
        expected = wave(np.array([time_s - 1000.0]))[0][0]
        assert executor.sample(time_s) == pytest.approx(expected, abs=1e-3)


def test_a_plan_sent_again_later_moves_nothing(send):
    first, second = send(preview(151)), send(preview(151, start=1000.0))
    executor = executed(first, now=1000.01)
    before = executor.sample(1001.5)
    executor.accept(trajectory_from_message(second), 1001.4)
    assert executor.sample(1001.5) == pytest.approx(before, abs=1e-9)


def test_an_arm_at_rest_gets_a_short_trajectory_that_rests(send):
    message = send(resting())
    assert seconds(message.points[-1].time_from_start) == pytest.approx(SHORTEST_S)
    assert all(list(point.positions) == [0.2] * 6 and not any(point.velocities) for point in message.points)


def test_a_shorter_plan_leaves_nothing_of_a_longer_one(send):
    send(preview(151))
    assert len(send(resting()).points) == 2


@given(
    gaps=st.lists(st.floats(0.0, 0.05), min_size=0, max_size=120),
    speed=st.floats(-3.0, 3.0),
    start=st.floats(1.0, 2e9),
)
def test_every_plan_becomes_one_that_the_controller_accepts(gaps, speed, start):
    times = start + np.cumsum([0.0, *gaps])
    positions = speed * (times - start)[:, None] * np.ones(6) / (1.0 + (times - start)[-1])
    plan = JointPreview(times, positions, np.full((len(times), 6), speed), np.ones(len(times)), 1)
    sent, _, velocities = ending_at_rest(*thinned(plan))
    assert len(sent) <= MOST_POINTS + 2
    assert (np.round(np.diff(sent), 9) > 0.0).all()
    assert not velocities[-1].any()
    assert sent[-1] - sent[0] >= SHORTEST_S - 0.0011


@given(st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6))
def test_a_plan_that_goes_on_ends_with_the_braking_that_is_announced(speeds):
    velocity = np.array(speeds)
    times, positions, _ = ending_at_rest(np.array([10.0, 11.0]), np.zeros((2, 6)), np.array([velocity, velocity]))
    duration = times[2] - 11.0 if np.abs(velocity).max() > 1e-6 else 0.0
    assert duration <= max(np.abs(velocity).max() / BRAKING, 1e-3) + 1e-9
    assert positions[-1] == pytest.approx(0.5 * duration * velocity)
