"""What the chunker does with the chunks it gets, in one message."""

from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header

from dvla_ros.control.controller import ChunkController
from dvla_ros.control.pacing import PacedThread
from dvla_ros.control.verdict import ACCEPTED
from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.chunk_intake import Decision
from dvla_ros.nodes.policy_watch import POLICY_LOST, PolicyWatch

CONTROL_THREAD, NO_MEASUREMENT = "control_thread", "no_measurement"
STATUS_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""Not latched: it comes ten times a second anyway."""


@dataclass(frozen=True)
class Condition:
    """How the chunker is.

    Attributes:
        state: One of the words of `ExecutionStatus`.
        reason: Short word as in docs/safety.md, or empty.
        detail: One sentence, or empty.
    """

    state: str
    reason: str = ""
    detail: str = ""


def condition(controller: ChunkController, thread: PacedThread | None, policy: PolicyWatch) -> Condition:
    """How the chunker is, worst first; `thread` is None while it does not command."""
    if thread is not None and thread.failure is not None:
        return Condition(ExecutionStatus.FAULT, CONTROL_THREAD, f"The control thread ended: {thread.failure}")
    state = controller.state
    if thread is None and state != ExecutionStatus.FAULT:
        return Condition(ExecutionStatus.INACTIVE)
    if state == ExecutionStatus.INACTIVE:
        return Condition(ExecutionStatus.HOLDING, NO_MEASUREMENT, "No joint state has come yet.")
    if state == ExecutionStatus.STARVED and policy.lost:
        return Condition(state, POLICY_LOST, policy.lost)
    return Condition(state, controller.reason, controller.detail)


class StatusPublisher:
    """Publishes `~/execution_status`; any thread may call.

    Args:
        node: Owner of the publisher.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(ExecutionStatus, "~/execution_status", STATUS_QOS)
        self._decision = Decision(0, 0, ACCEPTED, 0.0)
        self._decided, self._delay = False, 0.0

    def decided(self, decision: Decision) -> None:
        """What became of the newest chunk."""
        self._decision, self._decided = decision, True
        if decision.verdict.accepted:
            self._delay = decision.delay_s

    def publish(self, now: Condition, dropped: int) -> None:
        """Say how the chunker is; a rejection shows where nothing more serious is to be said."""
        decision = self._decision
        verdict = decision.verdict
        self._publisher.publish(
            ExecutionStatus(
                header=Header(stamp=self._node.get_clock().now().to_msg()),
                state=now.state,
                reason=now.reason or verdict.reason,
                message=now.detail if now.reason else verdict.detail,
                epoch=decision.epoch,
                sequence=decision.sequence,
                accepted=self._decided and verdict.accepted,
                dropped=dropped,
                delay=self._delay,
            )
        )
