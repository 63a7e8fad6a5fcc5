"""MoveIt between the chunker and the arm: chunks through Servo, halts that hold, a planning scene that forbids."""

import queue

import numpy as np
import pytest
from chunker_bench import ahead_of_others
from fake_policy import DOWN, LEFT, FakePolicy, chunker
from ros_messages import use_test_messages
from std_srvs.srv import SetBool

from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.conversions import seconds


def with_chunker(*parameters):
    """A test with a chunker that has these parameters."""
    return pytest.mark.parametrize("ros_world", [chunker(*parameters)], indirect=True)


@pytest.fixture(autouse=True)
def _ahead_of_others(ros_world):
    with ahead_of_others(ros_world):
        yield


@pytest.fixture
def servo(ros_world):
    """A Servo that runs."""
    use_test_messages()
    from fake_servo import FakeServo

    return ros_world.start(FakeServo)


@pytest.fixture
def move_group():
    """A planning scene that answers."""
    use_test_messages()
    from fake_validity import FakeValidity

    node = FakeValidity()
    yield node
    node.stop()
    node.destroy_node()


@with_chunker("backend:=servo_pose")
def test_without_servo_the_arm_is_held_and_chunks_are_refused(ros_world):
    use_test_messages()
    policy = FakePolicy(ros_world)
    status = policy.await_status(ExecutionStatus.HOLDING, "servo_silent")
    assert "no status from /servo_node" in status.message
    policy.send(DOWN)
    status = policy.await_decision(1)
    assert (status.state, status.accepted) == (ExecutionStatus.HOLDING, False)


@pytest.mark.parametrize("code", [2, 5, 6, -1])
@with_chunker("backend:=servo_pose")
def test_a_halt_of_servo_holds_until_it_is_over_and_then_chunks_are_followed_again(ros_world, servo, code):
    from fake_servo import TEXTS
    from moveit_msgs.msg import ServoStatus

    policy = FakePolicy(ros_world)
    policy.await_status(ExecutionStatus.FOLLOWING)
    begin = policy.place
    policy.send(DOWN)
    policy.await_motion(begin)
    servo.hindrance = code
    status = policy.await_status(ExecutionStatus.HOLDING, "servo_halted")
    assert status.message.startswith(f"/servo_node says {code} ")
    assert TEXTS[code] in status.message
    policy.await_rest()
    servo.hindrance = ServoStatus.NO_WARNING
    policy.await_status(ExecutionStatus.FOLLOWING)
    policy.await_place(policy.send(DOWN, rows=2))


@with_chunker("backend:=servo_twist")
def test_a_servo_that_falls_silent_on_the_way_holds_the_arm(ros_world, servo):
    policy = FakePolicy(ros_world)
    policy.await_status(ExecutionStatus.FOLLOWING)
    begin = policy.place
    policy.send(DOWN)
    policy.await_motion(begin)
    ros_world.probe.call(SetBool, "/servo_node/pause_servo", SetBool.Request(data=True))
    policy.await_status(ExecutionStatus.HOLDING, "servo_silent")
    ros_world.probe.call(SetBool, "/servo_node/pause_servo", SetBool.Request(data=False))
    policy.await_status(ExecutionStatus.FOLLOWING)
    policy.await_place(policy.send(DOWN, rows=2))


@pytest.mark.parametrize(
    ("ros_world", "kind", "topic"),
    [
        (chunker("backend:=servo_pose"), "PoseStamped", "pose_target_cmds"),
        (chunker("backend:=servo_twist"), "TwistStamped", "delta_twist_cmds"),
        (chunker("backend:=servo_joint"), "JointJog", "delta_joint_cmds"),
    ],
    indirect=["ros_world"],
)
def test_servo_gets_fifty_fresh_commands_a_second_also_while_the_arm_rests(ros_world, servo, kind, topic):
    from control_msgs.msg import JointJog
    from geometry_msgs.msg import PoseStamped, TwistStamped

    kinds = {kind.__name__: kind for kind in (JointJog, PoseStamped, TwistStamped)}
    received = queue.Queue()
    ros_world.probe.create_subscription(
        kinds[kind], f"/servo_node/{topic}", lambda message, info: received.put((message, info)), 10
    )
    policy = FakePolicy(ros_world)
    policy.await_status(ExecutionStatus.FOLLOWING)
    messages, infos = zip(*(received.get(timeout=5.0) for _ in range(50)), strict=True)
    stamps = np.array([seconds(message.header.stamp) for message in messages])
    published = np.array([info["source_timestamp"] * 1e-9 for info in infos])
    assert {message.header.frame_id for message in messages} == {"wx250s/base_link"}
    assert (np.diff(stamps) > 0.0).all()
    # Not the mean: on a machine that does something else, too, some commands are late or left out.
    assert np.quantile(np.diff(stamps), 0.25) == pytest.approx(1 / 50, rel=0.2)
    assert 0.0 <= np.median(published - stamps) < 0.05


@with_chunker("planning_scene:=true")
def test_a_chunk_into_an_obstacle_is_rejected_whole(ros_world, move_group):
    policy = FakePolicy(ros_world)
    policy.await_status(ExecutionStatus.FOLLOWING)
    begin = policy.place
    move_group.wall = np.arctan2(begin[1], begin[0]) + 0.1
    policy.send(LEFT)
    status = policy.await_decision(1)
    assert (status.accepted, status.reason) == (False, "collision")
    assert "wx250s/gripper_link touches wall" in status.message
    policy.await_place(policy.send(DOWN))
    assert abs(policy.place[1] - begin[1]) < 0.01


@with_chunker("planning_scene:=true", "planning_scene_timeout_s:=0.5")
def test_a_chunk_about_which_no_answer_comes_is_rejected_and_the_arm_stays(ros_world, move_group):
    policy = FakePolicy(ros_world)
    policy.await_status(ExecutionStatus.FOLLOWING)
    begin = policy.place
    move_group.answering.clear()
    policy.send(DOWN)
    status = policy.await_decision(1)
    assert (status.accepted, status.reason) == (False, "validity_timeout")
    assert np.linalg.norm(policy.await_rest() - begin) < 0.002
    move_group.answering.set()
    policy.await_place(policy.send(DOWN))


@with_chunker("planning_scene:=true")
def test_without_move_group_every_chunk_is_rejected(ros_world):
    use_test_messages()
    policy = FakePolicy(ros_world)
    policy.await_status(ExecutionStatus.FOLLOWING)
    begin = policy.place
    policy.send(DOWN)
    status = policy.await_decision(1)
    assert (status.accepted, status.reason) == (False, "validity_unavailable")
    assert np.linalg.norm(policy.await_rest() - begin) < 0.002
