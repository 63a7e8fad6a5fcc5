"""Listens to the robot's nodes and says what is so now."""

import math
import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from dvla_ros.msg import ActionChunk, ExecutionStatus, TaskStatus
from dvla_ros.nodes.operator.rate import CountRate, Rate
from dvla_ros.nodes.operator.state import Chunk, Execution, OperatorState, PolicyReport, RunState, Task

EXECUTION_S = 0.5
"""The status comes ten times a second; an older one says nothing about now."""
DIAGNOSTICS_S = 3.0
TASK_S = 2.0
_RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class RobotWatch:
    """Keeps the newest message of each kind; any thread may ask.

    Args:
        node: The node that subscribes.
        policy: Fully qualified name of the policy's node.
        chunker: Fully qualified name of the node that commands the arm.
        cameras: Names of the cameras whose rates are told.
    """

    def __init__(self, node: Node, policy: str, chunker: str, cameras: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._policy, self._chunker = policy.rpartition("/")[2], chunker.rpartition("/")[2]
        self._heard: dict[type, tuple[float, object]] = {}
        self._reports: dict[str, tuple[float, DiagnosticStatus]] = {}
        self._chunks = Rate()
        self._frames = {camera: CountRate() for camera in cameras}
        self._subscriptions = (
            node.create_subscription(ExecutionStatus, f"{chunker}/execution_status", self._on_message, _RELIABLE),
            node.create_subscription(ActionChunk, f"{policy}/action_chunk", self._on_chunk, _RELIABLE),
            node.create_subscription(TaskStatus, "/sim_node/task_status", self._on_message, _LATCHED),
            node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, _RELIABLE),
        )

    def state(self, run: RunState | None, estop_pressed: bool, estop_elsewhere: bool) -> OperatorState:
        """Everything that is known to be so now, with what the page itself has asked for."""
        now = time.monotonic()
        with self._lock:
            return OperatorState(
                execution=self._execution(now),
                policy=self._policy_report(now, run),
                chunk=self._chunk(now),
                run=run,
                task=self._task(now),
                camera_hz=self._camera_hz(now),
                estop_pressed=estop_pressed,
                estop_elsewhere=estop_elsewhere,
            )

    @property
    def execution(self) -> Execution | None:
        """What is done with the arm; None while nobody says."""
        with self._lock:
            return self._execution(time.monotonic())

    def _execution(self, now: float) -> Execution | None:
        status = self._newest(ExecutionStatus, now, EXECUTION_S)
        if status is None:
            return None
        report = self._report(self._chunker, now)
        values = {} if report is None else _values(report)
        return Execution(
            state=status.state,
            reason=status.reason,
            message=status.message,
            delay_ms=1e3 * status.delay,
            dropped=status.dropped,
            health=None if report is None else report.message,
            commands_hz=_number(values, "rate_hz"),
        )

    def _policy_report(self, now: float, run: RunState | None) -> PolicyReport | None:
        report = self._report(self._policy, now)
        if report is None:
            return None
        values = _values(report)
        percentiles = _number(values, "latency_ms_p50"), _number(values, "latency_ms_p95")
        well = report.level in (DiagnosticStatus.OK, DiagnosticStatus.WARN)
        if run is not None and run.phase == "following":  # known before the node's next report
            message = f"following '{run.instruction}'" if well else report.message
            return PolicyReport("following", message, well, *percentiles)
        activity = report.message.partition(" ")[0] if well else "problem"
        return PolicyReport(activity, report.message, well, *percentiles)

    def _chunk(self, now: float) -> Chunk | None:
        message = self._newest(ActionChunk, now, math.inf)
        if message is None:
            return None
        return Chunk(
            latency_ms=1e3 * message.latency,
            age_s=now - self._heard[ActionChunk][0],
            per_s=self._chunks.per_second(now),
            nfe=message.nfe,
            confidence=float(np.mean(message.confidence)) if len(message.confidence) else None,
        )

    def _task(self, now: float) -> Task | None:
        status = self._newest(TaskStatus, now, TASK_S)
        if status is None:
            return None
        return Task(status.task, status.instruction, status.outcome, status.detail, status.elapsed)

    def _camera_hz(self, now: float) -> dict[str, float | None]:
        known = self._report(self._policy, now) is not None
        return {camera: rate.per_second if known else None for camera, rate in self._frames.items()}

    def _newest(self, kind: type, now: float, max_age_s: float):  # type: ignore[no-untyped-def]
        received, message = self._heard.get(kind, (-math.inf, None))
        return message if now - received <= max_age_s else None

    def _report(self, name: str, now: float) -> DiagnosticStatus | None:
        received, report = self._reports.get(name, (-math.inf, None))
        return report if now - received <= DIAGNOSTICS_S else None

    def _on_message(self, message: ExecutionStatus | TaskStatus) -> None:
        with self._lock:
            self._heard[type(message)] = (time.monotonic(), message)

    def _on_chunk(self, message: ActionChunk) -> None:
        now = time.monotonic()
        with self._lock:
            self._heard[ActionChunk] = (now, message)
            self._chunks.add(now)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        with self._lock:
            for status in message.status:
                if status.name in (self._policy, self._chunker):
                    self._reports[status.name] = (now, status)
                if status.name == self._policy:
                    self._count_frames(_values(status), now)

    def _count_frames(self, values: Mapping[str, str], now: float) -> None:
        for camera, rate in self._frames.items():
            received = _number(values, f"{camera}_received")
            if received is not None:
                rate.report(int(received), now)


def _values(report: DiagnosticStatus) -> dict[str, str]:
    return {value.key: value.value for value in report.values}


def _number(values: Mapping[str, str], key: str) -> float | None:
    """A reported number; None where it is missing, no number, or not finite, which JSON cannot say."""
    try:
        number = float(values[key])
    except (KeyError, ValueError):
        return None
    return number if math.isfinite(number) else None
