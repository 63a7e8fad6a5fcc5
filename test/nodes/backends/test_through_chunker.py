"""With every backend the real chunker takes a chunk to the arm and stops it when told to; a dry run moves nothing."""

import numpy as np
import pytest
from fake_policy import DOWN, DOWN_CLOSING, FakePolicy, chunker

from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.backends.choice import BACKENDS, GRIPPERS
from dvla_ros.nodes.launch_arguments import BACKENDS as LAUNCHED_BACKENDS
from dvla_ros.nodes.launch_arguments import GRIPPERS as LAUNCHED_GRIPPERS
from dvla_ros.nodes.launch_arguments import parse_arguments
from dvla_ros.nodes.node_table import widowx_plan
from dvla_ros.nodes.servo_plan import SERVO_BACKENDS

COMMANDING = [name for name in BACKENDS if name != "none"]
WITH_ACTION = [f"{name} and gripper_action" for name in ("jtc", "joint_trajectory", "forward", "interbotix")]


@pytest.fixture
def policy(request, ros_world):
    """A policy whose chunks go through the backend `request.param`, and the Servo that some need."""
    if request.param in SERVO_BACKENDS:
        from fake_servo import FakeServo

        ros_world.start(FakeServo)
    fake = FakePolicy(ros_world)
    fake.await_status(ExecutionStatus.FOLLOWING)
    return fake


def through(names, *parameters):
    """Tests with a chunker for each of the backends."""
    cases = []
    for name in names:
        backend, _, gripper = name.partition(" and ")
        words = (f"backend:={backend}", f"gripper:={gripper or 'backend'}", *parameters)
        cases.append(pytest.param(chunker(*words), backend, id=name))
    return pytest.mark.parametrize(("ros_world", "policy"), cases, indirect=True)


@through([*COMMANDING, *WITH_ACTION])
def test_a_chunk_moves_arm_and_gripper_to_its_end(ros_world, policy):
    policy.await_place(policy.send(DOWN_CLOSING))
    ros_world.wait_until(lambda: policy.opening < 0.2, "the closed gripper")


@through(COMMANDING)
def test_a_hold_stops_the_arm_on_its_way(policy):
    begin = policy.place
    end = policy.send(DOWN)
    policy.await_motion(begin)
    policy.hold(True)
    assert np.linalg.norm(policy.await_rest() - end) > 0.02


@through(COMMANDING, "dry_run:=true")
def test_a_dry_run_publishes_below_the_chunkers_own_name_only(policy):
    begin = policy.place
    policy.send(DOWN)
    assert policy.await_decision(1).accepted
    topics = {publisher.topic_name for publisher in policy.chunker.publishers}
    assert any(topic.startswith("/chunker_node/shadow/") for topic in topics)
    assert {topic for topic in topics if not topic.startswith("/chunker_node/")} <= {
        "/diagnostics",
        "/parameter_events",
        "/rosout",
    }
    assert np.linalg.norm(policy.await_rest() - begin) < 0.001


@pytest.mark.parametrize("gripper", GRIPPERS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_and_gripper_are_launch_arguments(backend, gripper):
    texts = ["checkpoint:=/some/folder", f"backend:={backend}", f"gripper:={gripper}"]
    chunker_node = next(e for e in widowx_plan(parse_arguments(texts)).nodes if e.name == "chunker_node")
    assert (chunker_node.parameters["backend"], chunker_node.parameters["gripper"]) == (backend, gripper)


def test_what_can_be_launched_is_what_there_is():
    assert (LAUNCHED_BACKENDS, LAUNCHED_GRIPPERS) == (BACKENDS, GRIPPERS)
