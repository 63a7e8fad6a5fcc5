"""Watches what becomes of observations: chunks, when they arrive, and what the chunker decides."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from dvla_ros.errors import NodeError
from dvla_ros.evaluation.real_time import Milliseconds, RejectedChunks
from dvla_ros.msg import ActionChunk, DenoisingTrace, ExecutionStatus
from dvla_ros.nodes.conversions import seconds
from dvla_ros.nodes.node_reports import NodeReports

POLICY = "policy_node"
_QOS = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
_POLL_S = 0.1


@dataclass(frozen=True)
class ObservedChunks:
    """What became of the observations: the fields of the same names of `RealTimeFigures`."""

    chunks: int
    accepted: int
    rejected: tuple[RejectedChunks, ...]
    latency: Milliseconds
    age: Milliseconds
    inference: Milliseconds


class ChunkObserver:
    """Keeps the times of all chunks; its callbacks run in the node's thread.

    Args:
        node: The node that subscribes; its clock is that of the observations.
    """

    def __init__(self, node: Node) -> None:
        self._node, self._lock = node, threading.Lock()
        self._latencies: list[float] = []
        self._published: dict[tuple[int, int], float] = {}
        self._inference: dict[tuple[int, int], float] = {}
        self._reasons: dict[tuple[int, int], str] = {}
        self._statuses = 0
        self._reports = NodeReports(node, lambda: None)
        node.create_subscription(ActionChunk, f"/{POLICY}/action_chunk", self._on_chunk, _QOS)
        node.create_subscription(DenoisingTrace, f"/{POLICY}/denoising_trace", self._on_trace, _QOS)
        node.create_subscription(ExecutionStatus, "/chunker_node/execution_status", self._on_status, _QOS)

    def wait_for_status(self, patience_s: float, check: Callable[[], None]) -> None:
        """Wait until the chunker has said something.

        Raises:
            NodeError: It is silent for too long.
        """
        deadline = time.monotonic() + patience_s
        while not self._statuses:
            check()
            if time.monotonic() > deadline:
                raise NodeError(f"chunker_node has said nothing for {patience_s:g} s.")
            time.sleep(_POLL_S)

    def settle(self, patience_s: float) -> None:
        """Wait for the next two reports of the policy: the second one counts everything that came before."""
        deadline, wanted = time.monotonic() + patience_s, self._reports.of(POLICY).count + 2
        while self._reports.of(POLICY).count < wanted and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def received(self, stream: str) -> int:
        """Samples of a stream that reached the policy, as it says itself."""
        return self._reports.of(POLICY).whole(f"{stream}_received")

    def figures(self) -> ObservedChunks:
        """What has been seen so far."""
        with self._lock:
            spent = dict(self._inference)
            ages = [latency - spent[key] for key, latency in self._published.items() if key in spent]
            rejected = Counter(reason for key, reason in self._reasons.items() if reason and key in self._published)
            accepted = sum(not reason and key in self._published for key, reason in self._reasons.items())
            return ObservedChunks(
                len(self._published),
                accepted,
                tuple(RejectedChunks(reason, count) for reason, count in rejected.most_common()),
                Milliseconds.of(self._latencies),
                Milliseconds.of(ages),
                Milliseconds.of(list(spent.values())),
            )

    def _on_chunk(self, message: ActionChunk) -> None:
        now = 1e-9 * self._node.get_clock().now().nanoseconds
        with self._lock:
            self._latencies.append(now - seconds(message.observation_stamp))
            self._published[message.epoch, message.sequence] = float(message.latency)

    def _on_trace(self, message: DenoisingTrace) -> None:
        spent = message.preprocess_s + message.prefill_s + message.denoise_s
        with self._lock:
            self._inference[message.epoch, message.sequence] = float(spent)

    def _on_status(self, message: ExecutionStatus) -> None:
        self._statuses += 1
        with self._lock:
            # A later status of the same chunk may give the reason of a hold or a fault: the first one is the decision.
            decided = "" if message.accepted else message.reason or "unknown"
            self._reasons.setdefault((message.epoch, message.sequence), decided)
