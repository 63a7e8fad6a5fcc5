"""A chunker on the bench: a stand-in robot that follows it perfectly, chunks that swing the waist, and a stopwatch."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.pacing import PacedThread
from dvla_ros.control.widowx import ARM_JOINTS, FINGER_OPEN, JOINT_STATE_ORDER
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.conversions import chunk_to_message, to_time

ROBOT = "wx250s"
CHUNKS = "/policy_node/action_chunk"
JOINTS = f"/{ROBOT}/joint_states"
ARM = f"/{ROBOT}/arm_controller/joint_trajectory"
NAMES = (*ARM_JOINTS, "gripper")

START = (-0.4, 0.0, 0.3, 0.0, 1.0, 0.0)
"""Joints (rad) from which the waist can turn by 0.8 rad with the end effector far from any wall of its box."""

PERIOD_S = 0.02
BRAKING_S = 0.1
"""A joint at 0.4 rad/s is at rest after that, with 20 rad/s² and 600 rad/s³."""
TRANSPORT_S = 0.1
"""Allowance for the way of messages on a machine with more busy programs than cores."""
WATCHED_S = 0.3
"""So long nothing may move afterwards."""
TIMEOUT_S, START_S = 10.0, 40.0
_STILL = 1e-7


def swing(now, sequence=0, epoch=1, rows=20, dt=0.1, step=0.04, **changes):
    """A chunk that turns the waist by `step` rad in each row."""
    actions = np.zeros((rows, 7), np.float32)
    actions[:, 0], actions[:, 6] = step, 1.0
    chunk = ActionChunk(
        stamp=now + 0.05,
        dt=dt,
        actions=actions,
        mode=ControlMode.JOINT_DELTA,
        names=NAMES,
        sequence=sequence,
        epoch=epoch,
        execute_steps=rows,
        observation_stamp=now,
    )
    return replace(chunk, **changes)


def as_message(chunk):
    """The message of a chunk."""
    return chunk_to_message(chunk, f"{ROBOT}/base_link", nfe=12, latency_s=0.0)


def wait_until(condition, what, timeout_s=TIMEOUT_S):
    """Poll a condition that no event announces."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain for {what}"
        time.sleep(0.005)


@contextlib.contextmanager
def ahead_of_others(world):
    """Real-time priority for the threads of a test, where permitted.

    One of ordinary priority that is suspended while it holds the interpreter lock would stop the chunker's control
    thread, which in a process of its own has no such neighbours.
    """
    for thread in (0, world.thread_id):
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(thread, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(3))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _come_first(process):
    """A node takes seconds to import what it needs, and minutes on a machine with ten times more work than cores."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, process, -15)


class SimulatedClock:
    """Publishes /clock a hundred times a second; can run at another pace, jump, and stop."""

    def __init__(self, node, pace=1.0):
        self._publisher = node.create_publisher(Clock, "/clock", 10)
        self._offset, self._pace, self._stopped = 1000.0, pace, None
        self._began = time.monotonic()
        self._thread = PacedThread(self._publish, 100.0, priority=5, name="clock")
        self._thread.start()

    @property
    def now(self):
        """Simulated seconds."""
        if self._stopped is not None:
            return self._stopped
        return self._offset + self._pace * (time.monotonic() - self._began)

    def jump(self, seconds):
        """Set the time forward or back."""
        self._offset += seconds

    def stop(self):
        """Time stands still from now on."""
        self._stopped = self.now

    def go_on(self):
        """Time goes on where it stood."""
        self._offset += self._stopped - (self._offset + self._pace * (time.monotonic() - self._began))
        self._stopped = None

    def close(self):
        """Publish no more."""
        self._thread.stop()

    def _publish(self):
        self._publisher.publish(Clock(clock=to_time(self.now)))


class ChunkerBench:
    """Everything around one chunker node; a context manager.

    Args:
        world: The RosWorld of the test.
        clock: A SimulatedClock, if the chunker uses one.
    """

    def __init__(self, world, clock=None):
        self.world, self.clock, probe = world, clock, world.probe
        self.statuses = probe.collect(ExecutionStatus, "/chunker_node/execution_status")
        self.diagnostics = probe.collect(DiagnosticArray, "/diagnostics")
        self.joint_states = True
        self._lock = threading.Lock()
        self._commands = []
        self._joints = list(START)
        self._processes = []
        self._chunks = probe.create_publisher(ActionChunkMessage, CHUNKS, 1)
        self._states = probe.create_publisher(JointState, JOINTS, 1)
        probe.create_subscription(JointTrajectory, ARM, self._follow, 50)
        self._thread = PacedThread(self._publish_state, 100.0, priority=5, name="joint states")

    def __enter__(self):
        self._first = ahead_of_others(self.world)
        self._first.__enter__()
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._thread.stop()
        self._first.__exit__(None, None, None)
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait(TIMEOUT_S)
        if self.clock is not None:
            self.clock.close()

    @property
    def now(self):
        """Seconds on the ROS clock of the chunker."""
        return time.time() if self.clock is None else self.clock.now

    def run(self, module, *parameters):
        """Start a node in a process of its own."""
        words = [word for parameter in parameters for word in ("-p", parameter)]
        return self.spawn([sys.executable, "-m", module, *(["--ros-args", *words] if words else [])])

    def spawn(self, command):
        """Start a program; it is killed at the end, if it is still there."""
        process = subprocess.Popen(command)
        _come_first(process.pid)
        self._processes.append(process)
        return process

    def ready(self, state=ExecutionStatus.FOLLOWING):
        """Wait until the chunker hears chunks, says what it does, and (while it follows) sends commands."""
        wait_until(lambda: self._chunks.get_subscription_count() > 0, "the chunker's subscription", START_S)
        status = self.world.next_that(self.statuses, lambda m: m.state == state)
        if state == ExecutionStatus.FOLLOWING:
            wait_until(lambda: self.commands, "commands")
        return status

    def send(self, chunk=None, **changes):
        """Publish a chunk, or a message made of one; the moment of it."""
        chunk = swing(self.now, **changes) if chunk is None else chunk
        self._chunks.publish(as_message(chunk) if isinstance(chunk, ActionChunk) else chunk)
        return time.time()

    def set_moving(self, **changes):
        """Send a chunk and wait until the arm swings."""
        count = len(self.commands)
        wait_until(lambda: len(self.commands) > count + 1, "commands")
        begin = self.commands[-1][1]
        self.send(**changes)
        self.await_motion(begin)

    def await_motion(self, begin=None):
        """Wait until the command is well away from `begin`, or from where it is."""
        begin = self.commands[-1][1] if begin is None else begin
        wait_until(lambda: np.abs(self.commands[-1][1] - begin).max() > 0.06, "the arm to swing", START_S)

    @property
    def commands(self):
        """(time of publication, joints `[6]`) of every command so far."""
        with self._lock:
            return list(self._commands)

    def await_status(self, state, reason=None):
        """The next status of this kind."""
        return self.world.next_that(
            self.statuses, lambda m: m.state == state and (reason is None or m.reason == reason), TIMEOUT_S
        )

    def await_decision(self, sequence):
        """The first status about a chunk."""
        return self.world.next_that(self.statuses, lambda m: m.sequence == sequence, TIMEOUT_S)

    def await_diagnostics(self, wanted, name="chunker_node"):
        """The first diagnostics of a node whose message has these words; (level, message, values)."""
        array = self.world.next_that(
            self.diagnostics, lambda m: m.status[0].name == name and wanted in m.status[0].message, TIMEOUT_S
        )
        status = array.status[0]
        return status.level, status.message, {value.key: value.value for value in status.values}

    def assert_held(self, event, limit_s):
        """Nothing moves any more one period, the detection limit and the way to rest after an event (`time.time()`)."""
        allowed = event + limit_s + PERIOD_S + BRAKING_S + TRANSPORT_S
        # What is asserted is that time passes and nothing happens.
        time.sleep(max(0.0, allowed + WATCHED_S - time.time()))
        before = [joints for stamp, joints in self.commands if stamp <= allowed]
        after = [joints for stamp, joints in self.commands if stamp > allowed]
        moved = max((float(np.abs(joints - before[-1]).max()) for joints in after), default=0.0)
        assert moved < _STILL, f"moved by {moved:.4f} rad more than {limit_s:g} s after the event"

    def assert_moving_at(self, event):
        """The arm was moving when it happened: otherwise that it is held says nothing."""
        recent = [joints for stamp, joints in self.commands if event - 0.1 <= stamp <= event + 0.01]
        assert len(recent) > 1 and np.abs(recent[-1] - recent[0]).max() > 1e-3, "the arm rested when it happened"

    def call_hold(self, data):
        """~/hold"""
        return self.world.probe.call(SetBool, "/chunker_node/hold", SetBool.Request(data=data))

    def call_estop(self, data):
        """~/estop"""
        return self.world.probe.call(SetBool, "/chunker_node/estop", SetBool.Request(data=data))

    def call_reset_fault(self):
        """~/reset_fault"""
        return self.world.probe.call(Trigger, "/chunker_node/reset_fault", Trigger.Request())

    def forget_statuses(self):
        """Only statuses from now on count."""
        while True:
            try:
                self.statuses.get_nowait()
            except queue.Empty:
                return

    def _follow(self, message, info):
        with self._lock:
            joints = np.array(message.points[-1].positions)
            self._commands.append((info["source_timestamp"] * 1e-9, joints))
        self._joints = joints.tolist()

    def _publish_state(self):
        if not self.joint_states:
            return
        state = JointState(name=list(JOINT_STATE_ORDER), position=[*self._joints, 0.0, FINGER_OPEN, -FINGER_OPEN])
        state.header.stamp = to_time(self.now)
        self._states.publish(state)
