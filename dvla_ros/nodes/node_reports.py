"""The newest diagnostics of each node."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node


@dataclass(frozen=True)
class NodeReport:
    """What a node said about itself.

    Attributes:
        count: How many reports of the node came so far.
        well: Whether it reported no error.
        message: Its sentence.
        values: Its numbers, as text.
    """

    count: int
    well: bool
    message: str
    values: Mapping[str, str]

    def whole(self, key: str) -> int:
        """A count; 0 when it was not reported."""
        return int(self.values.get(key, "0"))


SILENT = NodeReport(0, False, "silent", {})


class NodeReports:
    """Follows `/diagnostics`.

    Args:
        node: The node that subscribes.
        on_report: Called in the node's thread after each message.
    """

    def __init__(self, node: Node, on_report: Callable[[], None]) -> None:
        self._reports: dict[str, NodeReport] = {}
        self._on_report = on_report
        node.create_subscription(DiagnosticArray, "/diagnostics", self._receive, 10)

    def of(self, name: str) -> NodeReport:
        """The newest report of a node; `SILENT` before the first."""
        return self._reports.get(name, SILENT)

    def _receive(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            well = status.level in (DiagnosticStatus.OK, DiagnosticStatus.WARN)
            count = self.of(status.name).count + 1
            self._reports[status.name] = NodeReport(count, well, status.message, values)
        self._on_report()
