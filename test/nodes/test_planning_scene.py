"""Only a path that MoveIt knows to be free passes, and asking never blocks for long."""

import queue
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ros_messages import test_messages_environment, use_test_messages
from std_srvs.srv import Trigger

from dvla_ros.control.preview import JointPreview
from dvla_ros.control.widowx import ARM_JOINTS, NEUTRAL
from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.nodes.planning_scene import GROUP, SPACING, PlanningSceneGate, states_along

TIMEOUT_S = 0.5
"""Longer than the default: the machine may be busy with other tests."""

SUPPORT = Path(__file__).parents[1] / "support"


def turn(angle, samples=11):
    """A planned path that turns the waist by an angle in radians."""
    positions = np.tile(NEUTRAL, (samples, 1))
    positions[:, 0] = np.linspace(0.0, angle, samples)
    return JointPreview(np.arange(samples) * 0.02, positions, np.zeros((samples, 6)), np.ones(samples), 1)


@pytest.fixture
def make_gate(ros_world):
    use_test_messages()
    gates = []

    def make(**settings):
        gates.append(PlanningSceneGate(ros_world.probe, **{"timeout_s": TIMEOUT_S, **settings}))
        return gates[-1]

    yield make
    for gate in gates:
        gate.close()


@pytest.fixture
def move_group(ros_world):
    use_test_messages()
    from fake_validity import FakeValidity

    node = FakeValidity()
    yield node
    node.stop()
    node.destroy_node()


@pytest.fixture
def move_group_process():
    """A move_group in a process of its own; with `mute` it takes requests and answers none."""
    processes = []

    def start(*arguments):
        command = [sys.executable, str(SUPPORT / "fake_validity.py"), *arguments]
        process = subprocess.Popen(command, env=test_messages_environment(), stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline().strip() == "ready"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def reachable(ros_world, gate):
    """The gate, once discovery has found the service."""
    ros_world.wait_until(lambda: gate.check_path(turn(0.0)).reason != "validity_unavailable", "the validity service")
    return gate


def test_a_free_path_passes(ros_world, make_gate, move_group):
    gate = reachable(ros_world, make_gate())
    assert gate.check_path(turn(0.5)).accepted


def test_a_long_path_has_more_states_than_a_service_keeps_requests(ros_world, make_gate, move_group):
    gate = reachable(ros_world, make_gate(timeout_s=5.0))
    move_group.requests.clear()
    assert gate.check_path(turn(3.0)).accepted
    assert len(move_group.requests) == 61


def test_a_path_given_up_does_not_push_out_the_next_one(ros_world, make_gate, move_group):
    gate = reachable(ros_world, make_gate())
    move_group.answering.clear()
    assert gate.check_path(turn(0.5)).reason == "validity_timeout"
    move_group.answering.set()
    assert gate.check_path(turn(0.5)).accepted


def test_states_are_asked_for_all_along_the_path(ros_world, make_gate, move_group):
    gate = reachable(ros_world, make_gate())
    move_group.requests.clear()
    gate.check_path(turn(0.5))
    states = [dict(zip(r.robot_state.joint_state.name, r.robot_state.joint_state.position, strict=True))
              for r in move_group.requests]  # fmt: skip
    waist = [state["waist"] for state in states]
    assert set(states[0]) == set(ARM_JOINTS)
    assert max(np.diff(waist)) <= SPACING + 1e-9
    assert (waist[0], waist[-1]) == (0.0, pytest.approx(0.5))
    assert {request.group_name for request in move_group.requests} == {GROUP}


def test_what_the_gripper_holds_stays_attached(ros_world, make_gate, move_group):
    gate = reachable(ros_world, make_gate())
    gate.check_path(turn(0.1))
    assert all(request.robot_state.is_diff for request in move_group.requests)


def test_a_path_into_a_wall_is_rejected_with_the_names_of_what_would_touch(ros_world, make_gate, move_group):
    gate = reachable(ros_world, make_gate())
    move_group.wall = 0.42
    verdict = gate.check_path(turn(0.5))
    assert (verdict.accepted, verdict.reason) == (False, "collision")
    assert verdict.detail == "State 10 of 11 on the path: wx250s/gripper_link touches wall."


def test_a_wall_that_the_path_does_not_reach_does_no_harm(ros_world, make_gate, move_group):
    gate = reachable(ros_world, make_gate())
    move_group.wall = 0.42
    assert gate.check_path(turn(0.4)).accepted


def test_without_the_service_the_chunk_is_rejected_at_once(make_gate):
    gate = make_gate(timeout_s=5.0)
    start = time.monotonic()
    verdict = gate.check_path(turn(0.1))
    assert time.monotonic() - start < 1.0
    assert (verdict.reason, verdict.detail) == (
        "validity_unavailable",
        "No service /check_state_validity. Is move_group running?",
    )


def test_answers_that_come_too_late_reject(ros_world, make_gate, move_group):
    gate = reachable(ros_world, make_gate())
    move_group.answering.clear()
    start = time.monotonic()
    verdict = gate.check_path(turn(0.1))
    assert TIMEOUT_S <= time.monotonic() - start < TIMEOUT_S + 0.3
    assert verdict.reason == "validity_timeout"
    assert verdict.detail == "3 of 3 answers of /check_state_validity had not come after 0.5 s."


def test_late_answers_do_not_count_for_the_next_path(ros_world, make_gate, move_group):
    gate = reachable(ros_world, make_gate())
    move_group.answering.clear()
    assert gate.check_path(turn(0.5)).reason == "validity_timeout"
    move_group.wall = 0.42
    move_group.answering.set()
    assert gate.check_path(turn(0.5)).reason == "collision"


def test_a_move_group_that_dies_rejects_and_a_new_one_serves_again(ros_world, make_gate, move_group_process):
    process = move_group_process()
    gate = reachable(ros_world, make_gate())
    process.kill()
    process.wait()
    assert gate.check_path(turn(0.1)).reason in ("validity_timeout", "validity_unavailable")
    move_group_process()
    ros_world.wait_until(lambda: gate.check_path(turn(0.1)).accepted, "the new move_group's answer")


def test_a_process_that_takes_requests_and_answers_none_rejects(ros_world, make_gate, move_group_process):
    move_group_process("mute")
    gate = reachable(ros_world, make_gate())
    assert gate.check_path(turn(0.1)).reason == "validity_timeout"


def test_a_callback_of_the_nodes_only_thread_may_wait_for_the_verdict(ros_world, make_gate, move_group):
    gate = reachable(ros_world, make_gate())
    verdicts = queue.Queue()

    def accept(request, response):
        verdicts.put(gate.check_path(turn(0.5)))
        return response

    ros_world.probe.create_service(Trigger, "~/accept", accept)
    client = ros_world.probe.create_client(Trigger, "/probe/accept")
    assert client.wait_for_service(5.0)
    client.call_async(Trigger.Request())
    assert verdicts.get(timeout=5.0).accepted


def test_a_path_too_long_to_be_checked_is_rejected(make_gate):
    verdict = make_gate(max_states=10).check_path(turn(0.6))
    assert verdict.reason == "validity_too_long"
    assert "13 states 0.05 rad apart" in verdict.detail
    assert "allowed are 10" in verdict.detail


def test_where_nothing_moves_nothing_is_asked(make_gate):
    assert make_gate().check_path(turn(0.5, samples=0)).accepted


@pytest.mark.parametrize("settings", [{"timeout_s": 0.0}, {"max_states": 0}])
def test_a_setting_that_is_not_positive_is_named(ros_world, settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        PlanningSceneGate(ros_world.probe, **settings)


def test_without_the_messages_the_packages_are_named(ros_world, monkeypatch):
    monkeypatch.setitem(sys.modules, "moveit_msgs.srv", None)
    with pytest.raises(DependencyError, match=r"ros-\$ROS_DISTRO-moveit-msgs"):
        PlanningSceneGate(ros_world.probe)


angles = st.floats(-1.0, 1.0, width=32)
paths = st.lists(st.lists(angles, min_size=6, max_size=6), min_size=1, max_size=8).map(np.array)


@settings(deadline=None)
@given(paths)
def test_no_joint_steps_further_than_the_spacing_and_the_end_is_reached(positions):
    states = states_along(positions, SPACING)
    steps = np.abs(np.diff(states, axis=0))
    assert steps.max(initial=0.0) <= SPACING + 1e-9
    np.testing.assert_allclose(states[[0, -1]], positions[[0, -1]], atol=1e-9)


@settings(deadline=None)
@given(paths)
def test_every_turning_point_of_a_path_is_near_a_state(positions):
    states = states_along(positions, SPACING)
    for row in positions:
        assert np.abs(states - row).max(axis=1).min() <= 0.5 * SPACING + 1e-9


def test_a_path_that_does_not_move_has_one_state():
    np.testing.assert_array_equal(states_along(np.tile(NEUTRAL, (5, 1)), SPACING), [NEUTRAL])
