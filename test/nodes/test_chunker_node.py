"""The chunker moves the simulated arm as chunks say, and nothing else does."""

import sys

import numpy as np
import pytest
from chunker_bench import ahead_of_others
from commanded_arm import FEW_IMAGES
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import ARM_JOINTS, NEUTRAL
from dvla_ros.errors import ConfigurationError
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.chunker_node import ChunkerNode
from dvla_ros.nodes.conversions import chunk_to_message, joints_by_name, seconds
from dvla_ros.nodes.sim_node import SimNode
from dvla_ros.srv import ResetEpisode

CHUNKS = "/policy_node/action_chunk"
JOINTS = "/wx250s/joint_states"
ARM = "/wx250s/arm_controller/joint_trajectory"
SETTLED_S = 0.3
QUICK = [
    *("-p", "chunker_node:discovery_s:=0.3", "-p", "chunker_node:lock_memory:=false"),
    *("-p", "chunker_node:max_tick_gap_s:=0.3", "-p", "chunker_node:joint_state_timeout_s:=1.0"),
    *FEW_IMAGES,
]
MOVING = ["-p", "chunker_node:dry_run:=false", *QUICK]


def down_chunk(node, rows=5, sequence=0, width=7):
    """Go down 2 cm per row, gripper open."""
    actions = np.zeros((rows, width), np.float32)
    actions[:, 2], actions[:, -1] = -0.02, 1.0
    now = node.get_clock().now().nanoseconds * 1e-9
    chunk = ActionChunk(
        stamp=now + 0.05,
        dt=0.2,
        actions=actions,
        mode=ControlMode.EE_DELTA,
        names=ACTION_NAMES[:width],
        sequence=sequence,
        execute_steps=rows,
        observation_stamp=now - 0.1,
    )
    return chunk_to_message(chunk, "wx250s/base_link", 12, 0.1)


@pytest.fixture(autouse=True)
def priority(ros_world):
    with ahead_of_others(ros_world):
        yield


def start_following(ros_world):
    """The simulated robot and a chunker that follows it."""
    ros_world.start(SimNode)
    node = ros_world.start(ChunkerNode)
    await_following(ros_world)
    return node


def await_following(ros_world):
    """Wait until the chunker has followed for longer than the observations of chunks are old."""
    statuses = ros_world.probe.collect(ExecutionStatus, "/chunker_node/execution_status")
    first = ros_world.next_that(statuses, lambda m: m.state == ExecutionStatus.FOLLOWING)
    ros_world.next_that(statuses, lambda m: seconds(m.header.stamp) > seconds(first.header.stamp) + SETTLED_S)


def height(message):
    return forward(joints_by_name(message, ARM_JOINTS))[2, 3]


def statistics(ros_world, messages):
    message = ros_world.next_that(
        messages, lambda m: m.status[0].name == "chunker_node" and len(m.status[0].values) > 0
    )
    return {value.key: value.value for value in message.status[0].values}


@pytest.mark.parametrize("ros_world", [MOVING, [*MOVING, "-p", "chunker_node:backend:=forward"]], indirect=True)
def test_a_chunk_of_increments_moves_the_arm_by_their_sum(ros_world):
    start_following(ros_world)
    states = ros_world.probe.collect(JointState, JOINTS)
    targets = ros_world.probe.collect(PoseStamped, "/chunker_node/ee_target")
    publisher = ros_world.probe.connect(ActionChunkMessage, CHUNKS)
    target = targets.get(timeout=5)
    begin = height(states.get(timeout=5))
    publisher.publish(down_chunk(ros_world.probe))
    ros_world.next_that(targets, lambda m: abs(m.pose.position.z - (target.pose.position.z - 0.1)) < 1e-3)
    ros_world.next_that(states, lambda m: abs(height(m) - (begin - 0.1)) < 0.005)
    assert target.header.frame_id == "wx250s/base_link"


@pytest.mark.parametrize("ros_world", [MOVING], indirect=True)
def test_diagnostics_carry_rate_and_latency(ros_world):
    start_following(ros_world)
    diagnostics = ros_world.probe.collect(DiagnosticArray, "/diagnostics")
    publisher = ros_world.probe.connect(ActionChunkMessage, CHUNKS)
    publisher.publish(down_chunk(ros_world.probe, rows=2))
    numbers = statistics(ros_world, diagnostics)
    while numbers["chunks_accepted"] != "1":
        numbers = statistics(ros_world, diagnostics)
    numbers = statistics(ros_world, diagnostics)
    assert float(numbers["rate_hz"]) == pytest.approx(50.0, rel=0.1)
    assert 100.0 < float(numbers["observation_to_command_ms_p95"]) < 400.0
    assert float(numbers["observation_to_publication_ms_p50"]) == pytest.approx(100.0)


@pytest.mark.parametrize("ros_world", [QUICK], indirect=True)
def test_a_dry_run_is_the_default_and_moves_nothing(ros_world):
    start_following(ros_world)
    states = ros_world.probe.collect(JointState, JOINTS)
    preview = ros_world.probe.collect(JointTrajectory, "/chunker_node/command_preview")
    publisher = ros_world.probe.connect(ActionChunkMessage, CHUNKS)
    before = joints_by_name(states.get(timeout=5), ARM_JOINTS)
    publisher.publish(down_chunk(ros_world.probe, rows=2))
    ros_world.next_that(preview, lambda m: np.abs(np.array(m.points[0].positions[:6]) - before).max() > 0.02)
    while not states.empty():
        last = states.get()
    assert np.abs(joints_by_name(last, ARM_JOINTS) - before).max() < 0.005
    assert ros_world.probe.count_publishers(ARM) == 0


@pytest.mark.parametrize("ros_world", [MOVING], indirect=True)
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda message: message.data.__setitem__(3, float("nan")), "not_finite"),
        (lambda message: setattr(message, "data", message.data[:-1]), "malformed"),
        (lambda message: message.data.__setitem__(0, 3.0), "step"),
        (lambda message: setattr(message.header.stamp, "sec", message.header.stamp.sec - 60), "past"),
    ],
    ids=["nan", "width", "jump", "too old"],
)
def test_a_bad_chunk_is_rejected_whole_with_a_reason(ros_world, spoil, reason):
    start_following(ros_world)
    states = ros_world.probe.collect(JointState, JOINTS)
    diagnostics = ros_world.probe.collect(DiagnosticArray, "/diagnostics")
    publisher = ros_world.probe.connect(ActionChunkMessage, CHUNKS)
    before = joints_by_name(states.get(timeout=5), ARM_JOINTS)
    message = down_chunk(ros_world.probe)
    spoil(message)
    publisher.publish(message)
    numbers = statistics(ros_world, diagnostics)
    while not any(key.startswith("rejected") for key in numbers):
        numbers = statistics(ros_world, diagnostics)
    assert numbers.get(f"rejected_{reason}") == "1", numbers
    while not states.empty():
        last = states.get()
    assert np.abs(joints_by_name(last, ARM_JOINTS) - before).max() < 0.005


@pytest.mark.parametrize("ros_world", [MOVING], indirect=True)
def test_hold_refuses_chunks_until_it_is_released(ros_world):
    start_following(ros_world)
    states = ros_world.probe.collect(JointState, JOINTS)
    publisher = ros_world.probe.connect(ActionChunkMessage, CHUNKS)
    begin = height(states.get(timeout=5))
    assert ros_world.probe.call(SetBool, "/chunker_node/hold", SetBool.Request(data=True)).success
    publisher.publish(down_chunk(ros_world.probe, sequence=1))
    for _ in range(60):
        last = states.get(timeout=5)
    assert height(last) == pytest.approx(begin, abs=0.003)
    ros_world.probe.call(SetBool, "/chunker_node/hold", SetBool.Request(data=False))
    await_following(ros_world)
    publisher.publish(down_chunk(ros_world.probe, sequence=2))
    ros_world.next_that(states, lambda m: abs(height(m) - (begin - 0.1)) < 0.005)


@pytest.mark.parametrize("ros_world", [MOVING], indirect=True)
def test_a_reset_scene_is_not_dragged_back_to_the_old_pose(ros_world):
    start_following(ros_world)
    states = ros_world.probe.collect(JointState, JOINTS)
    publisher = ros_world.probe.connect(ActionChunkMessage, CHUNKS)
    begin = height(states.get(timeout=5))
    publisher.publish(down_chunk(ros_world.probe))
    ros_world.next_that(states, lambda m: height(m) < begin - 0.095)
    ros_world.probe.call(ResetEpisode, "/sim_node/reset", ResetEpisode.Request(seed=0))
    while not states.empty():
        states.get()
    for _ in range(80):
        last = states.get(timeout=5)
    assert height(last) == pytest.approx(begin, abs=0.01)


@pytest.mark.parametrize("ros_world", [MOVING], indirect=True)
def test_a_second_commander_is_refused(ros_world):
    ros_world.probe.create_publisher(JointTrajectory, ARM, 1)
    node = ros_world.start(ChunkerNode, activate=False)
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() == TransitionCallbackReturn.FAILURE


@pytest.mark.parametrize("ros_world", [MOVING], indirect=True)
def test_a_commander_that_comes_later_makes_the_chunker_hold_until_it_is_gone(ros_world):
    start_following(ros_world)
    diagnostics = ros_world.probe.collect(DiagnosticArray, "/diagnostics")
    rival = ros_world.probe.create_publisher(JointTrajectory, ARM, 1)
    held = ros_world.next_that(
        diagnostics, lambda m: m.status[0].name == "chunker_node" and "held (rival)" in m.status[0].message
    )
    assert held.status[0].level == b"\x01" and "/probe on /wx250s/arm_controller" in held.status[0].message
    ros_world.probe.destroy_publisher(rival)
    ros_world.next_that(diagnostics, lambda m: m.status[0].message == "commanding")


@pytest.mark.parametrize("ros_world", [MOVING], indirect=True)
def test_joint_states_without_a_joint_command_nothing(ros_world):
    commands = ros_world.probe.collect(JointTrajectory, ARM)
    ros_world.start(ChunkerNode)
    diagnostics = ros_world.probe.collect(DiagnosticArray, "/diagnostics")
    publisher = ros_world.probe.connect(JointState, JOINTS)
    publisher.publish(JointState(name=list(ARM_JOINTS), position=NEUTRAL.tolist()))
    ros_world.next_that(diagnostics, lambda m: "no usable joint states" in m.status[0].message)
    assert commands.empty()


@pytest.mark.parametrize("ros_world", [MOVING], indirect=True)
def test_stopping_leaves_the_arm_at_rest(ros_world):
    node = start_following(ros_world)
    states = ros_world.probe.collect(JointState, JOINTS)
    publisher = ros_world.probe.connect(ActionChunkMessage, CHUNKS)
    begin = height(states.get(timeout=5))
    publisher.publish(down_chunk(ros_world.probe))
    ros_world.next_that(states, lambda m: height(m) < begin - 0.04)
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    ros_world.wait_until(lambda: states.qsize() > 30, "joint states after the stop")
    heights = [height(states.get()) for _ in range(states.qsize())]
    assert abs(heights[-1] - heights[-5]) < 1e-3
    assert heights[-1] > begin - 0.09


@pytest.mark.parametrize("ros_world", [[*MOVING, "-p", "chunker_node:backend:=interbotix"]], indirect=True)
def test_a_driver_that_is_not_installed_is_named(ros_world, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "interbotix_xs_msgs", None)
    monkeypatch.setitem(sys.modules, "interbotix_xs_msgs.msg", None)
    node = ros_world.start(ChunkerNode, activate=False)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert "interbotix-xs-msgs" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("ros_world", "words"),
    [
        (["-p", "chunker_node:backend:=jct"], "backend must be one of interbotix, jtc, .*, none, got 'jct'"),
        (["-p", "chunker_node:control_hz:=0.0"], "control_hz must be positive"),
        (["-p", "chunker_node:contol_hz:=50.0"], "Did you mean 'control_hz'"),
        (["-p", "chunker_node:max_joint_setp:=0.1"], "Did you mean 'max_joint_step'"),
        (["-p", "chunker_node:joint_velocity:=[1.0, 1.0]"], "joint_velocity needs 6 numbers"),
        (["-p", "chunker_node:starvation:=panic"], "starvation must be one of hold, decelerate, stop"),
        (["-p", "chunker_node:gripper:=claw"], "gripper must be one of backend, gripper_action, got 'claw'"),
    ],
    indirect=["ros_world"],
)
def test_a_wrong_parameter_is_named(ros_world, words):
    with pytest.raises(ConfigurationError, match=words):
        ros_world.start(ChunkerNode)
