"""The fault table of docs/safety.md, row by row, through real nodes: each ends in a held arm and says why."""

import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from chunker_bench import START_S, ChunkerBench, SimulatedClock, as_message, swing, wait_until
from std_msgs.msg import Bool, Header

from dvla_ros.control.pacing import PacedThread
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes import chunker_node
from dvla_ros.nodes.backends.jtc import JtcBackend
from dvla_ros.nodes.chunker_node import ChunkerNode
from dvla_ros.nodes.deadman_node import DeadmanNode
from dvla_ros.nodes.node_table import HEARTBEAT_TOPIC
from dvla_ros.nodes.process import autostart

FOLLOWING, STARVED, HOLDING, FAULT = (
    ExecutionStatus.FOLLOWING,
    ExecutionStatus.STARVED,
    ExecutionStatus.HOLDING,
    ExecutionStatus.FAULT,
)
SENDER = [sys.executable, str(Path(__file__).parents[1] / "support" / "chunk_sender.py")]


def chunker(*parameters):
    """Parameters of the chunker under test; in the tests' process its thread may have to wait for others."""
    given = ("dry_run:=false", "discovery_s:=0.3", "lock_memory:=false", "max_tick_gap_s:=0.3", *parameters)
    words = [word for parameter in given for word in ("-p", f"chunker_node:{parameter}")]
    return pytest.mark.parametrize("ros_world", [words], indirect=True)


@pytest.fixture
def bench(ros_world):
    """A bench without a chunker."""
    with ChunkerBench(ros_world) as made:
        yield made


@pytest.fixture
def moving(bench):
    """A bench with an arm that swings."""
    bench.world.start(ChunkerNode)
    bench.ready()
    bench.set_moving()
    return bench


@pytest.fixture
def simulated(ros_world, request):
    """A bench whose chunker uses simulated time, with an arm that swings."""
    with ChunkerBench(ros_world, SimulatedClock(ros_world.probe, getattr(request, "param", 1.0))) as made:
        made.world.start(ChunkerNode)
        made.ready()
        made.set_moving()
        yield made


# Chunks that must not be executed


def spoiled(spoil):
    """A message that is wrong in one thing, to come after the chunk that swings the arm."""
    message = as_message(swing(time.time(), sequence=1))
    spoil(message)
    return message


BAD_CHUNKS = {
    "not_finite": lambda m: m.data.__setitem__(3, float("nan")),
    "width": lambda m: (setattr(m, "names", m.names[:6]), setattr(m, "data", m.data[: 6 * m.horizon])),
    "malformed": lambda m: setattr(m, "data", m.data[:-1]),
    "step": lambda m: m.data.__setitem__(0, 3.0),
    "gripper_range": lambda m: m.data.__setitem__(6, 5.0),
    "past": lambda m: setattr(m.header.stamp, "sec", m.header.stamp.sec - 60),
    "far_future": lambda m: setattr(m.header.stamp, "sec", m.header.stamp.sec + 60),
    "duplicate": lambda m: setattr(m, "sequence", 0),
    "old_epoch": lambda m: setattr(m, "epoch", 0),
}


@chunker()
@pytest.mark.parametrize("reason", BAD_CHUNKS)
def test_a_bad_chunk_is_refused_and_the_arm_finishes_the_one_before(bench, reason):
    bench.world.start(ChunkerNode)
    bench.ready()
    bench.set_moving(rows=6)
    bench.forget_statuses()
    bench.send(spoiled(BAD_CHUNKS[reason]))
    status = bench.world.next_that(bench.statuses, lambda m: m.reason == reason)
    assert not status.accepted and status.message
    starved = bench.await_status(STARVED)
    bench.assert_held(starved.header.stamp.sec + 1e-9 * starved.header.stamp.nanosec, 0.0)
    turned = bench.commands[-1][1] - bench.commands[0][1]
    assert turned == pytest.approx([6 * 0.04, 0, 0, 0, 0, 0], abs=1e-3)


@chunker()
def test_a_chunk_that_leaves_the_joint_range_is_refused_before_it_moves(bench):
    bench.world.start(ChunkerNode)
    bench.ready()
    event = bench.send(swing(bench.now, rows=40, step=0.15))
    status = bench.world.next_that(bench.statuses, lambda m: m.reason in ("joint_limit", "workspace"))
    assert not status.accepted
    bench.assert_held(event, 0.0)


# What the arm needs to be held for until it is over


@chunker()
def test_joint_states_that_stop_hold_the_arm_until_they_are_back(moving):
    moving.joint_states, event = False, time.time()
    moving.assert_moving_at(event)
    moving.assert_held(event, 0.2)
    assert moving.await_status(HOLDING).reason == "no_measurement"
    assert "joint_states stopped" in moving.await_diagnostics("no usable joint states")[1]
    moving.joint_states = True
    moving.await_status(FOLLOWING)
    moving.set_moving(sequence=1)


@chunker()
def test_a_requested_hold_refuses_chunks_until_it_is_released(moving):
    moving.assert_moving_at(event := time.time())
    assert moving.call_hold(True).success
    moving.assert_held(time.time(), 0.0)
    assert moving.await_status(HOLDING).reason == "requested"
    moving.send(sequence=1)
    status = moving.await_decision(1)
    assert not status.accepted and status.reason == "requested"
    assert moving.commands[-1][0] > event
    moving.call_hold(False)
    moving.await_status(FOLLOWING)
    moving.set_moving(sequence=2)


class TroubledBackend(JtcBackend):
    """Says what it was told to."""

    words = ""

    def problem(self):
        return self.words


@chunker()
def test_a_backend_that_cannot_go_on_holds_the_arm_until_it_can(bench, monkeypatch):
    """What MoveIt Servo says when it halts comes to the chunker this way."""
    made = []
    monkeypatch.setattr(chunker_node, "make_backend", lambda name, node, robot, rate, *rest: made[0])
    node = bench.world.start(ChunkerNode, activate=False)
    made.append(TroubledBackend(node, "wx250s", 50.0))
    assert autostart(node)
    bench.ready()
    bench.set_moving()
    event = time.time()
    made[0].words = "servo_halted: /servo_node says 5 HALT_FOR_COLLISION: Collision detected."
    bench.assert_held(event, 0.0)
    bench.assert_moving_at(event)
    assert "HALT_FOR_COLLISION" in bench.await_status(HOLDING, "servo_halted").message
    assert bench.await_diagnostics("held (servo_halted)")[0] == b"\x01"
    made[0].words = ""
    bench.await_status(FOLLOWING)
    bench.set_moving(sequence=1)


@chunker("use_sim_time:=true")
@pytest.mark.parametrize("step", [10.0, -10.0])
def test_a_clock_that_jumps_holds_the_arm_and_then_goes_on(simulated, step):
    old = as_message(swing(simulated.now, sequence=1))
    event = time.time()
    simulated.assert_moving_at(event)
    simulated.clock.jump(step)
    simulated.assert_held(event, 0.0)
    assert simulated.await_status(HOLDING).reason == "clock_jump"
    simulated.send(old)
    assert not simulated.await_decision(1).accepted
    simulated.set_moving(sequence=2)


@chunker("use_sim_time:=true")
def test_a_clock_that_stands_still_holds_the_arm_until_it_goes_on(simulated):
    event = time.time()
    simulated.assert_moving_at(event)
    simulated.clock.stop()
    simulated.assert_held(event, 0.0)
    assert simulated.await_status(HOLDING, "clock_stopped").message
    assert simulated.await_diagnostics("held (clock_stopped)")
    simulated.clock.go_on()
    simulated.await_status(FOLLOWING)
    simulated.set_moving(sequence=1)


@chunker("use_sim_time:=true")
@pytest.mark.parametrize("simulated", [1.0, 2.0], indirect=True)
def test_due_times_are_simulated_time_and_commands_are_paced_by_the_wall(simulated):
    """The waist turns 0.4 rad per simulated second, and fifty commands come per second all the same."""
    begin = len(simulated.commands)
    simulated.world.wait_until(lambda: len(simulated.commands) > begin + 40, "commands")
    commands = simulated.commands[begin:]
    elapsed = commands[-1][0] - commands[0][0]
    pace = (commands[-1][1][0] - commands[0][1][0]) / elapsed / 0.4
    assert pace == pytest.approx(simulated.clock._pace, rel=0.1)
    assert (len(commands) - 1) / elapsed == pytest.approx(50.0, rel=0.1)


# The policy and the chunker die


@chunker()
def test_a_killed_policy_leaves_the_arm_at_rest_and_is_named(bench):
    bench.world.start(ChunkerNode)
    policy = bench.spawn([*SENDER, "1"])
    bench.ready()
    bench.await_motion()
    bench.world.wait_until(lambda: "policy_node" in bench.world.probe.get_node_names(), "the policy's name")
    time.sleep(1.5)  # its once-per-second diagnostics are what it is known by
    policy.kill()
    event = time.time()
    bench.assert_held(event, 1.1)  # the rows that are left of its last chunk
    assert bench.await_status(STARVED, "policy_lost").message
    assert bench.await_diagnostics("policy_lost")[0] == b"\x01"
    bench.spawn([*SENDER, "2"])
    bench.await_motion()


@pytest.mark.parametrize("ros_world", [[]], indirect=True)
def test_a_chunker_that_is_started_again_goes_on_with_the_next_chunk_from_where_the_arm_is(bench):
    parameters = ("dry_run:=false", "discovery_s:=0.3")
    first = bench.run("dvla_ros.nodes.chunker_node", *parameters)
    bench.ready()
    bench.set_moving(epoch=7)
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(0.2)  # what it sent last is on its way
    rest, count = bench.commands[-1][1], len(bench.commands)
    bench.run("dvla_ros.nodes.chunker_node", *parameters, "chunk_topic:=/policy_node/action_chunk")
    wait_until(lambda: len(bench.commands) > count + 5, "commands of the second one", START_S)
    assert bench.commands[count][1] == pytest.approx(rest, abs=1e-9)
    bench.forget_statuses()
    bench.world.wait_until(lambda: _accepted(bench, epoch=7), "a chunk of the running policy to be taken")
    bench.await_motion(rest)


def _accepted(bench, epoch):
    """The policy goes on in its epoch; the first chunks may come before the chunker hears them."""
    _accepted.sequence += 1
    bench.send(sequence=_accepted.sequence, epoch=epoch)
    time.sleep(0.1)
    return any(status.accepted for status in list(bench.statuses.queue))


_accepted.sequence = 100


@chunker()
def test_a_control_thread_that_dies_is_a_fault(moving, monkeypatch):
    (node,) = (node for node in moving.world._nodes if isinstance(node, ChunkerNode))
    monkeypatch.setattr(node._loop, "_watch_backend", lambda: 1 / 0)
    event = time.time()
    assert "division by zero" in moving.await_status(FAULT, "control_thread").message
    moving.assert_held(event, 0.0)
    assert moving.await_diagnostics("fault control_thread")[0] == b"\x02"


# Faults that only a person ends


@chunker()
def test_an_emergency_stop_latches_until_it_is_released_and_reset(moving):
    event = time.time()
    moving.assert_moving_at(event)
    assert moving.call_estop(True).success
    moving.assert_held(time.time(), 0.0)
    assert moving.await_status(FAULT).reason == "estop"
    moving.send(sequence=1)
    assert not moving.await_decision(1).accepted
    refused = moving.call_reset_fault()
    assert not refused.success and "chunker_node/estop" in refused.message
    moving.call_estop(False)
    assert moving.await_status(FAULT).reason == "estop"
    assert moving.call_reset_fault().success
    moving.await_status(FOLLOWING)
    moving.set_moving(sequence=2)


@chunker()
def test_the_emergency_stop_topic_does_the_same(moving):
    button = moving.world.probe.connect(Bool, "/estop")
    event = time.time()
    button.publish(Bool(data=True))
    moving.assert_held(event, 0.0)
    assert "/estop" in moving.await_status(FAULT, "estop").message
    assert "/estop" in moving.call_reset_fault().message
    button.publish(Bool(data=False))
    moving.world.wait_until(lambda: moving.call_reset_fault().success, "the button to be released")
    assert moving.await_diagnostics("commanding")[0] == b"\x00"


@chunker(f"deadman_topic:={HEARTBEAT_TOPIC}")
def test_nothing_moves_before_heartbeats_come_steadily(bench):
    bench.world.start(ChunkerNode)
    assert bench.ready(HOLDING).reason == "deadman_awaited"
    event = bench.send()
    bench.assert_held(event, 0.0)
    beats = bench.world.probe.connect(Header, HEARTBEAT_TOPIC)
    beats.publish(Header())
    bench.forget_statuses()
    assert bench.await_status(HOLDING).reason == "deadman_awaited"
    heart = PacedThread(lambda: beats.publish(Header()), 20.0, priority=5, name="heartbeats")
    heart.start()
    try:
        bench.await_status(FOLLOWING)
        bench.set_moving(sequence=1)
    finally:
        heart.stop()
    event = time.time()
    bench.assert_moving_at(event)
    bench.assert_held(event, 0.2)
    assert bench.await_status(FAULT).reason == "deadman_lost"


@chunker(f"deadman_topic:={HEARTBEAT_TOPIC}")
def test_a_killed_deadman_latches_a_fault_that_outlives_the_next_one(bench):
    deadman = bench.run("dvla_ros.nodes.deadman_node")
    bench.world.start(ChunkerNode)
    bench.ready()
    bench.set_moving()
    deadman.send_signal(signal.SIGKILL)
    event = time.time()
    bench.assert_moving_at(event)
    bench.assert_held(event, 0.2 + 0.05)  # the last heartbeat may be a twentieth of a second old
    assert bench.await_status(FAULT).reason == "deadman_lost"
    assert bench.await_diagnostics("fault deadman_lost")[0] == b"\x02"
    assert "No heartbeat" in bench.call_reset_fault().message
    bench.world.start(DeadmanNode)
    bench.world.wait_until(lambda: bench.call_reset_fault().success, "the new heartbeats")
    bench.set_moving(sequence=1)


# MoveIt's planning scene


@chunker("planning_scene:=true")
def test_without_an_answer_of_the_planning_scene_no_chunk_is_executed(ros_world):
    from ros_messages import use_test_messages

    use_test_messages()
    with ChunkerBench(ros_world) as bench:
        bench.world.start(ChunkerNode)
        bench.ready()
        event = bench.send()
        status = bench.world.next_that(bench.statuses, lambda m: m.reason == "validity_unavailable")
        assert not status.accepted and "/check_state_validity" in status.message
        bench.assert_held(event, 0.0)


def test_the_stopwatch_of_the_bench_can_fail(ros_world):
    """An assertion that cannot fail is worth nothing."""
    with ChunkerBench(ros_world) as bench:
        bench._commands = [(time.time() + 0.02 * tick, np.full(6, 0.01 * tick)) for tick in range(-50, 100)]
        with pytest.raises(AssertionError, match="moved by"):
            bench.assert_held(time.time(), 0.0)
