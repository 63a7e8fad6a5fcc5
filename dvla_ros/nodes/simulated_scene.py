"""Which task and seed the simulated scene was laid out with."""

import threading

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from dvla_ros.errors import ObservationError
from dvla_ros.msg import TaskStatus

TOPIC = "/sim_node/task_status"
QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_PATIENCE_S = 2.0
"""Five reports come each second."""


class SimulatedScene:
    """Follows the reports of `sim_node`; call `now` from another thread than the one that spins the node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._changed = threading.Condition()
        self._newest: TaskStatus | None = None
        self._subscription = node.create_subscription(TaskStatus, TOPIC, self._on_status, QOS)

    def destroy(self) -> None:
        """Stop following."""
        self._node.destroy_subscription(self._subscription)

    def now(self) -> tuple[str, int]:
        """Task name and seed, of a report that comes after this call: an older one may be of the scene before.

        Raises:
            ObservationError: No report comes.
        """
        with self._changed:
            self._newest = None
            if not self._changed.wait_for(lambda: self._newest is not None, _PATIENCE_S):
                raise ObservationError(f"Nothing on {TOPIC}: the scripted expert only plays in the simulated scene.")
            assert self._newest is not None
            return self._newest.task, int(self._newest.seed)

    def _on_status(self, message: TaskStatus) -> None:
        with self._changed:
            self._newest = message
            self._changed.notify_all()
