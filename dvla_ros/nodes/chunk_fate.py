"""Listens to what becomes of the chunks that a policy publishes, and tells the inference loop."""

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.inference_loop import InferenceLoop

_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


class ChunkFate:
    """Reports refused chunks and dropped rows: the next chunk must not count on them.

    Without a chunker (`~/get_action_chunk` alone, or another executor) every chunk is taken to be executed.

    Args:
        node: The node that subscribes.
        topic: Of the chunker's `ExecutionStatus`.
        loop: Is told.
    """

    def __init__(self, node: Node, topic: str, loop: InferenceLoop) -> None:
        self._node, self._loop = node, loop
        self._dropped: int | None = None
        self._seen: tuple[int, int] | None = None
        self._subscription = node.create_subscription(ExecutionStatus, topic, self._on_status, _QOS)

    def destroy(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)

    def _on_status(self, status: ExecutionStatus) -> None:
        chunk = (int(status.epoch), int(status.sequence))
        if not status.accepted and chunk != self._seen:
            self._loop.refused(*chunk)
        self._seen = chunk
        if self._dropped is not None and status.dropped != self._dropped:
            self._loop.dropped()
        self._dropped = int(status.dropped)
