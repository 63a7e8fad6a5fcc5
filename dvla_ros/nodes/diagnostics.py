"""Numbers for `/diagnostics`."""

from collections import deque
from collections.abc import Mapping

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

LEVELS = {"ok": DiagnosticStatus.OK, "warn": DiagnosticStatus.WARN, "error": DiagnosticStatus.ERROR}


class LatencyRecord:
    """The newest durations of one kind, for percentiles; the first ones are forgotten."""

    def __init__(self, size: int = 1000) -> None:
        self._values: deque[float] = deque(maxlen=size)

    def add(self, duration_s: float) -> None:
        """Record one duration in seconds."""
        self._values.append(duration_s)

    def __len__(self) -> int:
        """How many durations are kept."""
        return len(self._values)

    def percentile_ms(self, percent: float) -> float:
        """Percentile in milliseconds; NaN when nothing was recorded."""
        return 1e3 * float(np.percentile(list(self._values), percent)) if self._values else float("nan")

    def numbers(self, name: str) -> dict[str, float]:
        """`<name>_ms_p50`, `<name>_ms_p95` and `<name>_ms_p99`."""
        return {f"{name}_ms_p{percent}": self.percentile_ms(percent) for percent in (50, 95, 99)}


class DiagnosticsPublisher:
    """Publishes one status of a node on `/diagnostics`."""

    def __init__(self, node: Node, hardware_id: str) -> None:
        self._node, self._hardware_id = node, hardware_id
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def publish(self, level: str, message: str, numbers: Mapping[str, float | int | str]) -> None:
        """Publish `ok`, `warn` or `error` with a sentence and named numbers."""
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        values = [KeyValue(key=key, value=_text(value)) for key, value in numbers.items()]
        array.status = [
            DiagnosticStatus(
                level=LEVELS[level],
                name=self._node.get_name(),
                message=message,
                hardware_id=self._hardware_id,
                values=values,
            )
        ]
        self._publisher.publish(array)


def _text(value: float | str) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
