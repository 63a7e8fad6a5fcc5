"""A robot and a policy as the chunker node meets them: joint states at 100 Hz that follow its commands, chunks."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from control_processes import DT, EXECUTE_STEPS, random_chunk
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from dvla_ros.control.pacing import PacedThread
from dvla_ros.control.widowx import FINGER_OPEN, JOINT_STATE_ORDER, NEUTRAL
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.nodes.conversions import chunk_to_message

JOINT_STATE_HZ = 100.0
ROBOT = "wx250s"


class StandInRobot:
    """Answers every command at once and perfectly, which costs next to nothing beside a simulated arm.

    Args:
        node: Node of this process.
        seed: Of the chunks.
    """

    def __init__(self, node: Node, seed: int) -> None:
        self.commands = 0
        self.numbers: dict[str, float] = {}
        """The chunker's newest diagnostics."""
        self._node, self._rng = node, np.random.default_rng(seed)
        self._joints, self._sequence = NEUTRAL.tolist(), 0
        self._states = node.create_publisher(JointState, f"/{ROBOT}/joint_states", 1)
        self._chunks = node.create_publisher(ActionChunkMessage, "/policy_node/action_chunk", 1)
        node.create_subscription(JointTrajectory, f"/{ROBOT}/arm_controller/joint_trajectory", self._follow, 1)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._read, 10)
        self._threads = (
            PacedThread(self._publish_state, JOINT_STATE_HZ, priority=0, name="joint states"),
            PacedThread(self._publish_chunk, 1.0 / (EXECUTE_STEPS * DT), priority=0, name="chunks"),
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

    def _follow(self, message: JointTrajectory) -> None:
        self.commands += 1
        self._joints = list(message.points[-1].positions)

    def _read(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "chunker_node" and status.values:
                self.numbers = {value.key: float(value.value) for value in status.values}

    def _publish_state(self) -> None:
        state = JointState(name=list(JOINT_STATE_ORDER), position=[*self._joints, 0.0, FINGER_OPEN, -FINGER_OPEN])
        state.header.stamp = self._node.get_clock().now().to_msg()
        self._states.publish(state)

    def _publish_chunk(self) -> None:
        now = self._node.get_clock().now().nanoseconds * 1e-9
        chunk = random_chunk(self._rng, self._sequence, now)
        self._sequence += 1
        self._chunks.publish(chunk_to_message(chunk, f"{ROBOT}/base_link", nfe=12, latency_s=0.0))
