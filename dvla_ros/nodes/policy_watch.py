"""Notices that the node that sends the chunks is gone."""

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

POLICY_LOST = "policy_lost"


class PolicyWatch:
    """Knows a policy by its publisher of chunks and by its once-per-second diagnostics.

    A killed process leaves its publisher in the graph for some 20 s; its diagnostics stop at once. A policy that has
    never published any is known by its publisher alone. Times are seconds of the monotonic clock.

    Args:
        node: The node that subscribes the chunks.
        topic: Where chunks come from.
        timeout_s: Without diagnostics for so long, the policy that used to publish them is gone.
    """

    def __init__(self, node: Node, topic: str, timeout_s: float) -> None:
        self._node, self._topic, self._timeout = node, topic, timeout_s
        self._names: frozenset[str] = frozenset()
        self._heard: float | None = None
        self._known = False
        self.lost = ""
        """Why the policy is taken to be gone, in one sentence; empty while it is there or has never been."""

    def on_diagnostics(self, message: DiagnosticArray, now: float) -> None:
        """Some node's diagnostics arrived at `now`."""
        if any(status.name in self._names for status in message.status):
            self._heard = now

    def on_chunk(self, now: float) -> None:
        """A chunk arrived at `now`: whoever sent it lives."""
        self._known, self.lost = True, ""
        if self._heard is not None:
            self._heard = now

    def look(self, now: float) -> None:
        """Once per second: is the policy there?"""
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        if publishers:
            self._known = True
            self._names = frozenset(info.node_name for info in publishers)
        self.lost = self._problem(bool(publishers), now) if self._known else ""

    def _problem(self, published: bool, now: float) -> str:
        if not published:
            self._heard = None
            return f"Nobody publishes {self._topic} any more."
        if self._heard is not None and now - self._heard > self._timeout:
            who = ", ".join(sorted(self._names))
            return f"{who} has been silent for {now - self._heard:.1f} s: no chunk on {self._topic}, no diagnostics."
        return ""
