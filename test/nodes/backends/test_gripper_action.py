"""The gripper through an action: the newest opening is always the goal, and what becomes of goals is watched."""

import sys

import pytest
from commanded_arm import close_backend
from fake_gripper import FakeGripper

from dvla_ros.errors import ConfigurationError, DependencyError
from dvla_ros.nodes.backends.gripper_action import GripperAction
from dvla_ros.nodes.backends.gripper_goals import ACTION_TYPES, installed_action_types

OPEN, CLOSED = 0.037, 0.015

each_type = pytest.mark.parametrize("action_type", ACTION_TYPES)


@pytest.fixture
def connect(ros_world):
    """Makes a client of the gripper's action."""
    clients = []

    def make(action_type=ACTION_TYPES[0]):
        clients.append(GripperAction(ros_world.probe, "wx250s", action_type))
        return clients[-1]

    yield make
    for client in clients:
        close_backend(ros_world, client)


@pytest.fixture
def server(ros_world):
    """Starts a gripper."""
    return lambda action_type=ACTION_TYPES[0]: ros_world.start(lambda: FakeGripper(action_type))


@each_type
def test_a_goal_is_the_finger_position_in_metres(ros_world, connect, server, action_type):
    gripper, client = server(action_type), connect(action_type)
    client.send(1.0)
    ros_world.wait_until(lambda: gripper.goals, "a goal")
    assert gripper.goals == [pytest.approx(OPEN)]
    assert client.problem() == ""


def test_the_newest_opening_supersedes_the_one_before(ros_world, connect, server):
    gripper, client = server(), connect()
    client.send(1.0)
    ros_world.wait_until(lambda: len(gripper.goals) == 1, "the first goal")
    client.send(0.0)
    ros_world.wait_until(lambda: len(gripper.goals) == 2, "the second goal")
    assert gripper.goals[-1] == pytest.approx(CLOSED)


def test_the_same_opening_is_one_goal(ros_world, connect, server):
    gripper, client = server(), connect()
    client.send(1.0)
    ros_world.wait_until(lambda: gripper.goals, "a goal")
    for _ in range(20):
        client.send(1.0)
    client.send(0.0)
    ros_world.wait_until(lambda: gripper.goals[-1] == pytest.approx(CLOSED), "the next opening")
    assert len(gripper.goals) == 2


def test_a_small_change_becomes_a_goal_when_it_stays(ros_world, connect, server):
    gripper, client = server(), connect()
    client.send(0.5)
    ros_world.wait_until(lambda: gripper.goals, "a goal")
    client.send(0.52)
    ros_world.wait_until(lambda: len(gripper.goals) == 2, "the small change")
    assert gripper.goals[1] - gripper.goals[0] == pytest.approx(0.00044)


def test_without_a_server_the_gripper_cannot_be_commanded(ros_world, connect, server):
    client = connect()
    client.send(1.0)
    assert client.problem().startswith("gripper_unavailable: no action server /wx250s/gripper_controller/gripper_cmd")
    gripper = server()
    ros_world.wait_until(lambda: not client.problem(), "the server")
    ros_world.wait_until(lambda: gripper.goals, "the opening that was wanted meanwhile")


def test_a_rejected_goal_is_a_problem_until_one_succeeds(ros_world, connect, server):
    gripper, client = server(), connect()
    gripper.accepts = False
    client.send(0.0)
    ros_world.wait_until(lambda: client.problem().startswith("gripper_rejected: "), "the rejection")
    gripper.accepts = True
    ros_world.wait_until(lambda: not client.problem(), "the end of the problem")
    assert gripper.goals == [pytest.approx(CLOSED)] * len(gripper.goals)


def test_an_aborted_goal_is_a_problem_until_one_succeeds(ros_world, connect, server):
    gripper, client = server(), connect()
    gripper.outcome = "abort"
    client.send(0.0)
    ros_world.wait_until(lambda: client.problem().startswith("gripper_aborted: "), "the abortion")
    gripper.outcome = "succeed"
    ros_world.wait_until(lambda: not client.problem(), "the end of the problem")


def test_a_finger_that_stalls_has_grasped_something(ros_world, connect, server):
    gripper, client = server(), connect()
    gripper.outcome = "stall"
    client.send(0.0)
    ros_world.wait_until(lambda: gripper.goals, "the goal")
    gripper.outcome = "succeed"
    client.send(1.0)
    ros_world.wait_until(lambda: len(gripper.goals) == 2, "the next goal")
    assert client.problem() == ""


def test_what_the_installed_messages_lack_is_not_offered(monkeypatch):
    assert installed_action_types() == ACTION_TYPES
    monkeypatch.delattr("control_msgs.action.ParallelGripperCommand")
    assert installed_action_types() == ("GripperCommand",)


def test_an_unknown_action_type_is_refused(ros_world):
    with pytest.raises(ConfigurationError, match="one of ParallelGripperCommand, GripperCommand, got 'Squeeze'"):
        GripperAction(ros_world.probe, "wx250s", "Squeeze")


def test_without_the_messages_the_error_names_the_apt_package(ros_world, monkeypatch):
    monkeypatch.setitem(sys.modules, "control_msgs.action", None)
    with pytest.raises(DependencyError, match="ros-\\$ROS_DISTRO-control-msgs"):
        GripperAction(ros_world.probe, "wx250s")
