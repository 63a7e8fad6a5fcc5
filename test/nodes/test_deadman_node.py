"""The deadman as a real node: when its heart beats, and what it does when the chunker is gone."""

import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Header
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from dvla_ros.control.widowx import ARM_JOINTS, NEUTRAL
from dvla_ros.errors import ConfigurationError
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.deadman_node import DeadmanNode
from dvla_ros.nodes.node_table import HEARTBEAT_TOPIC

SWITCH, STATUS = "/switch", "/chunker_node/execution_status"
ARM, JOINTS = "/wx250s/arm_controller/joint_trajectory", "/wx250s/joint_states"
SILENT_S = 0.4
"""Eight times the period of the heartbeats."""


def deadman(*parameters):
    words = [word for parameter in parameters for word in ("-p", f"deadman_node:{parameter}")]
    return pytest.mark.parametrize("ros_world", [words], indirect=True)


@pytest.fixture
def beats(ros_world):
    return ros_world.probe.collect(Header, HEARTBEAT_TOPIC)


def is_silent(beats):
    """Whether no heartbeat comes from now on."""
    time.sleep(0.1)  # what was on its way
    while not beats.empty():
        beats.get()
    time.sleep(SILENT_S)
    return beats.empty()


def diagnosed(ros_world, words):
    """The first diagnostics of the deadman with these words."""
    messages = ros_world.probe.collect(DiagnosticArray, "/diagnostics")
    status = ros_world.next_that(messages, lambda m: words in m.status[0].message).status[0]
    assert status.name == "deadman_node"
    return status


@deadman()
def test_without_a_switch_it_beats_twenty_times_a_second_until_it_is_released(ros_world, beats):
    ros_world.start(DeadmanNode)
    beats.get(timeout=5)
    began = time.monotonic()
    for _ in range(20):
        beats.get(timeout=5)
    assert time.monotonic() - began == pytest.approx(1.0, abs=0.4)
    assert ros_world.probe.call(SetBool, "/deadman_node/release", SetBool.Request(data=True)).success
    assert is_silent(beats)
    assert diagnosed(ros_world, "Released by request").level == b"\x01"
    ros_world.probe.call(SetBool, "/deadman_node/release", SetBool.Request(data=False))
    beats.get(timeout=5)


@deadman(f"enable_topic:={SWITCH}", "enable_timeout_s:=0.3")
def test_it_beats_while_the_switch_is_reported_held(ros_world, beats):
    ros_world.start(DeadmanNode)
    switch = ros_world.probe.connect(Bool, SWITCH)
    assert is_silent(beats)
    ros_world.wait_until(lambda: switch.publish(Bool(data=True)) or not beats.empty(), "a heartbeat")
    switch.publish(Bool(data=False))
    assert is_silent(beats)


@deadman(f"enable_topic:={SWITCH}", "enable_timeout_s:=0.3")
def test_a_switch_that_falls_silent_is_let_go(ros_world, beats):
    ros_world.start(DeadmanNode)
    switch = ros_world.probe.connect(Bool, SWITCH)
    ros_world.wait_until(lambda: switch.publish(Bool(data=True)) or not beats.empty(), "a heartbeat")
    assert "has not been heard of for 0.3 s" in diagnosed(ros_world, "not been heard of").message
    assert is_silent(beats)


@deadman(f"enable_topic:={SWITCH}", "enable_kind:=joy", "enable_button:=1")
def test_the_button_of_a_gamepad_is_a_switch(ros_world, beats):
    ros_world.start(DeadmanNode)
    pad = ros_world.probe.connect(Joy, SWITCH)
    for buttons in ([], [1], [1, 0]):
        pad.publish(Joy(buttons=buttons))
    assert is_silent(beats)
    ros_world.wait_until(lambda: pad.publish(Joy(buttons=[0, 1])) or not beats.empty(), "a heartbeat")


@deadman("backend:=joint_trajectory")
def test_an_arm_whose_chunker_is_lost_is_sent_a_trajectory_to_rest(ros_world, beats):
    ros_world.start(DeadmanNode)
    trajectories = ros_world.probe.collect(JointTrajectory, ARM)
    ros_world.wait_until(lambda: ros_world.probe.count_publishers(ARM) == 1, "the publisher that stops")
    chunker, joints = ros_world.probe.connect(ExecutionStatus, STATUS), ros_world.probe.connect(JointState, JOINTS)
    chunker.publish(ExecutionStatus(state=ExecutionStatus.FOLLOWING))
    moving = JointState(name=list(ARM_JOINTS), position=NEUTRAL.tolist(), velocity=[0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    ros_world.wait_until(lambda: joints.publish(moving) or not trajectories.empty(), "a trajectory")
    (point,) = trajectories.get().points
    assert point.velocities.tolist() == [0.0] * 6
    assert NEUTRAL[0] < point.positions[0] < NEUTRAL[0] + 0.1
    assert point.positions.tolist()[1:] == pytest.approx(NEUTRAL[1:])
    assert diagnosed(ros_world, "chunker_lost").level == b"\x02"


@deadman("backend:=jtc")
def test_with_single_commands_the_arm_rests_by_itself_and_the_loss_is_named(ros_world, beats):
    ros_world.start(DeadmanNode)
    chunker = ros_world.probe.connect(ExecutionStatus, STATUS)
    chunker.publish(ExecutionStatus(state=ExecutionStatus.FOLLOWING))
    assert "silent for" in diagnosed(ros_world, "chunker_lost").message
    assert ros_world.probe.count_publishers(ARM) == 0
    chunker.publish(ExecutionStatus(state=ExecutionStatus.STARVED))
    diagnosed(ros_world, "motion is permitted")


@pytest.mark.parametrize(
    ("ros_world", "words"),
    [
        (["-p", "deadman_node:heartbeat_hz:=0.0"], "heartbeat_hz must be positive"),
        (["-p", "deadman_node:enable_kind:=pedal"], "enable_kind must be one of bool, joy, got 'pedal'"),
        (["-p", "deadman_node:enable_button:=-1"], "enable_button must be 0 or more"),
        (["-p", "deadman_node:realtime_priority:=100"], "realtime_priority must be 0..99, got 100"),
        (["-p", "deadman_node:enable_topick:=/joy"], "Did you mean 'enable_topic'"),
    ],
    indirect=["ros_world"],
)
def test_a_wrong_parameter_is_named(ros_world, words):
    with pytest.raises(ConfigurationError, match=words):
        ros_world.start(DeadmanNode)
