"""The simulated gripper's action server ends goals as ros2_control's gripper controllers do."""

import threading

import pytest
from action_msgs.msg import GoalStatus
from commanded_arm import FEW_IMAGES
from rclpy.action import ActionClient
from ros_messages import use_test_messages
from sensor_msgs.msg import JointState

from dvla_ros.nodes.backends.gripper_goals import action_name, gripper_action
from dvla_ros.nodes.conversions import joints_by_name
from dvla_ros.nodes.sim_node import SimNode

use_test_messages()

simulated = pytest.mark.parametrize("ros_world", [FEW_IMAGES], indirect=True)


@pytest.fixture
def ask(ros_world):
    """Sends finger positions as one goal; returns a function that waits for its end."""
    ros_world.start(SimNode)
    kind = gripper_action("ParallelGripperCommand")
    client = ActionClient(ros_world.probe, kind, action_name("wx250s"))
    assert client.wait_for_server(10.0)

    def send(*positions):
        answered = threading.Event()
        future = client.send_goal_async(kind.Goal(command=JointState(name=["left_finger"], position=list(positions))))
        future.add_done_callback(lambda _: answered.set())
        assert answered.wait(10.0)
        return future.result()

    return send


def end_of(handle):
    ended = threading.Event()
    future = handle.get_result_async()
    future.add_done_callback(lambda _: ended.set())
    assert ended.wait(10.0)
    return future.result()


@simulated
def test_a_goal_succeeds_when_the_finger_is_there(ros_world, ask):
    states = ros_world.probe.collect(JointState, "/wx250s/joint_states")
    answer = end_of(ask(0.02))
    assert (answer.status, answer.result.reached_goal) == (GoalStatus.STATUS_SUCCEEDED, True)
    ros_world.next_that(states, lambda message: abs(joints_by_name(message, ["left_finger"])[0] - 0.02) < 0.003)


@simulated
def test_a_finger_that_cannot_get_there_stalls(ask):
    answer = end_of(ask(0.2))
    assert (answer.status, answer.result.stalled) == (GoalStatus.STATUS_ABORTED, True)


@simulated
def test_a_new_goal_supersedes_the_one_before(ask):
    first, second = ask(0.2), ask(0.02)
    assert end_of(first).status == GoalStatus.STATUS_ABORTED
    assert end_of(second).status == GoalStatus.STATUS_SUCCEEDED


@simulated
@pytest.mark.parametrize("positions", [(), (0.02, 0.02), (float("nan"),)])
def test_goals_without_one_finite_position_are_rejected(ask, positions):
    assert not ask(*positions).accepted
