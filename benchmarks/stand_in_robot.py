"""A robot and a policy as the chunker node meets them: joint states at 100 Hz that follow its commands, chunks."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from command_record import CommandRecord
from control_processes import DT, EXECUTE_STEPS, random_chunk
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from dvla_ros.control.pacing import PacedThread
from dvla_ros.control.widowx import FINGER_OPEN, JOINT_STATE_ORDER, NEUTRAL
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.nodes.conversions import chunk_to_message

JOINT_STATE_HZ = 100.0
ROBOT = "wx250s"
PRIORITY = 5
"""Drivers have real-time priority, too; this one less than the chunker, for it is written in Python, on its machine."""

_EVERY_COMMAND = QoSProfile(depth=10_000, reliability=ReliabilityPolicy.RELIABLE)


class StandInRobot:
    """Answers every command of the backend `forward` at once and perfectly, which costs next to nothing.

    Args:
        node: Node of this process.
        seed: Of the chunks.

    Attributes:
        commands: The commands it received.
        numbers: The chunker's newest diagnostics.
    """

    def __init__(self, node: Node, seed: int) -> None:
        self.commands = CommandRecord()
        self.numbers: dict[str, float] = {}
        self._node, self._rng = node, np.random.default_rng(seed)
        self._joints, self._sequence = NEUTRAL.tolist(), 0
        self._states = node.create_publisher(JointState, f"/{ROBOT}/joint_states", 1)
        self._chunks = node.create_publisher(ActionChunkMessage, "/policy_node/action_chunk", 1)
        topic = f"/{ROBOT}/forward_position_controller/commands"
        node.create_subscription(Float64MultiArray, topic, self._follow, _EVERY_COMMAND)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._read, 10)
        self._threads = (
            PacedThread(self._publish_state, JOINT_STATE_HZ, PRIORITY, name="joint states"),
            PacedThread(self._publish_chunk, 1.0 / (EXECUTE_STEPS * DT), PRIORITY, name="chunks"),
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Publish while in the context."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            for thread in self._threads:
                thread.stop()

    def _follow(self, message: Float64MultiArray, info: Mapping[str, int]) -> None:
        self.commands.add(info["publication_sequence_number"], info["source_timestamp"])
        self._joints = list(message.data)[: len(self._joints)]

    def _read(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "chunker_node" and status.values:
                self.numbers = {value.key: float(value.value) for value in status.values if _is_number(value.value)}

    def _publish_state(self) -> None:
        state = JointState(name=list(JOINT_STATE_ORDER), position=[*self._joints, 0.0, FINGER_OPEN, -FINGER_OPEN])
        state.header.stamp = self._node.get_clock().now().to_msg()
        self._states.publish(state)

    def _publish_chunk(self) -> None:
        now = self._node.get_clock().now().nanoseconds * 1e-9
        chunk = random_chunk(self._rng, self._sequence, now)
        self._sequence += 1
        self._chunks.publish(chunk_to_message(chunk, f"{ROBOT}/base_link", nfe=12, latency_s=0.0))


@contextmanager
def inherited_priority(priority: int) -> Iterator[None]:
    """Threads that are started in this context, those of DDS among them, get real-time priority where permitted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
