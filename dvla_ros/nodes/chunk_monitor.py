"""Listens to the chunks of a policy and to the commands that follow them."""

import threading
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from trajectory_msgs.msg import JointTrajectory

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.chunk_message import chunk_from_message
from dvla_ros.control.kinematics import forward
from dvla_ros.evaluation.chunk_timing import ChunkTiming, chunk_timing
from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.msg import DenoisingTrace

_QOS = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)


@dataclass(frozen=True)
class MonitoredChunk:
    """A chunk as it was published.

    Attributes:
        chunk: What was published.
        nfe: Network function evaluations.
        latency_s: Seconds from the observation to publication.
        trace: How it came about; None when it was not received.
    """

    chunk: ActionChunk
    nfe: int
    latency_s: float
    trace: DenoisingTrace | None

    @property
    def published(self) -> float:
        """Time of publication in seconds."""
        return self.chunk.observation_stamp + self.latency_s

    @property
    def confidence(self) -> float:
        """Mean confidence of the committed tokens, 0..1; NaN when the chunk has none."""
        return float("nan") if self.chunk.confidence is None else float(np.mean(self.chunk.confidence))


class ChunkMonitor:
    """Keeps chunks, traces and arm commands since `restart`.

    Commands of the trajectory controller carry no time; the middleware's time of publication stands for it.

    Args:
        node: The node that subscribes; its thread stores.
        robot_name: Namespace of the robot's topics.
    """

    def __init__(self, node: Node, robot_name: str) -> None:
        self._lock = threading.Lock()
        self.restart()
        node.create_subscription(ActionChunkMessage, "/policy_node/action_chunk", self._on_chunk, _QOS)
        node.create_subscription(DenoisingTrace, "/policy_node/denoising_trace", self._on_trace, _QOS)
        topic = f"/{robot_name}/arm_controller/joint_trajectory"
        node.create_subscription(JointTrajectory, topic, self._on_command, _QOS)

    def restart(self) -> None:
        """Forget everything."""
        with self._lock:
            self._chunks: list[ActionChunkMessage] = []
            self._traces: dict[tuple[int, int], DenoisingTrace] = {}
            self._command_times: list[float] = []
            self._commands: list[JointTrajectory] = []

    def chunks(self) -> list[MonitoredChunk]:
        """The chunks, in order of arrival."""
        with self._lock:
            messages, traces = list(self._chunks), dict(self._traces)
        return [
            MonitoredChunk(chunk_from_message(m), int(m.nfe), float(m.latency), traces.get((m.epoch, m.sequence)))
            for m in messages
        ]

    def timing(self, monitored: MonitoredChunk) -> ChunkTiming | None:
        """Where the time of a chunk went; None when no command or no trace of it was received."""
        chunk = monitored.chunk
        decided = chunk.stamp + chunk.frozen_steps * chunk.dt  # the rows before were decided by the chunk before
        commanded = self._first_command(max(decided, monitored.published))
        trace = monitored.trace
        if commanded is None or trace is None:
            return None
        spent = (float(trace.preprocess_s), float(trace.prefill_s), float(trace.denoise_s))
        return chunk_timing(*spent, monitored.latency_s, chunk.observation_stamp, commanded)

    def pose_before(self, time_s: float) -> np.ndarray | None:
        """End-effector pose `[4, 4]` commanded last before a time in seconds; None when there was no command yet."""
        with self._lock:
            index = bisect_left(self._command_times, time_s)
            command = self._commands[index - 1] if index > 0 else None
        return None if command is None else forward(np.array(command.points[0].positions[:6]))

    def _first_command(self, time_s: float) -> float | None:
        """When the first command at or after a time was published, in seconds."""
        with self._lock:
            index = bisect_left(self._command_times, time_s)
            return self._command_times[index] if index < len(self._command_times) else None

    def _on_chunk(self, message: ActionChunkMessage) -> None:
        with self._lock:
            self._chunks.append(message)

    def _on_trace(self, message: DenoisingTrace) -> None:
        with self._lock:
            self._traces[message.epoch, message.sequence] = message

    def _on_command(self, message: JointTrajectory, info: Any) -> None:
        with self._lock:
            self._command_times.append(info["source_timestamp"] * 1e-9)
            self._commands.append(message)
