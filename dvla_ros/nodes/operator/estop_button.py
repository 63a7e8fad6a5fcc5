"""The page as one of the buttons on the topic of emergency stops."""

import threading
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

_OWN_NS = 2_000_000
"""A message whose time of publication is so near to one of ours is ours."""


class EstopButton:
    """Publishes true and false, and knows whether somebody else's button on the same topic is pressed.

    All buttons of a topic are one to those who listen: false from here would release another one that is still pressed.
    It is not sent then. Messages do not say who sent them; ours are known by the time of their publication.

    Args:
        node: Owner.
        topic: `std_msgs/Bool`; true: stop.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._node, self.topic = node, topic
        self.pressed = False
        self.pressed_elsewhere = False
        self._lock = threading.Lock()
        self._sent: list[tuple[int, int]] = []
        # That half of the pairs below do not match is meant: nothing to warn of.
        quiet = PublisherEventCallbacks(use_default_callbacks=False)
        profile = _profile(DurabilityPolicy.VOLATILE)
        self._publisher = node.create_publisher(Bool, topic, profile, event_callbacks=quiet)
        # The first matches every publisher, the second gets what a latching one has said before this node came.
        self._subscriptions = [
            node.create_subscription(
                Bool,
                topic,
                self._on_message,
                _profile(durability),
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )
            for durability in (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL)
        ]

    def press(self) -> None:
        """Stop; any thread may call."""
        self.pressed = True
        self._publish(True)

    def release(self) -> bool:
        """Release the page's button; False, and nothing is sent, while another one is pressed.

        With no other button on the topic, false is sent in any case: the page may have been started anew since.
        """
        if self.pressed_elsewhere:
            return False
        if self.pressed or self._node.count_publishers(self.topic) == 1:
            self._publish(False)
            self.pressed = False
        return True

    def _publish(self, stop: bool) -> None:
        with self._lock:
            began = time.time_ns()
            self._publisher.publish(Bool(data=stop))
            self._sent = [*self._sent[-20:], (began - _OWN_NS, time.time_ns() + _OWN_NS)]

    def _on_message(self, message: Bool, info: Any) -> None:
        published = info["source_timestamp"]
        with self._lock:
            own = any(first <= published <= last for first, last in self._sent)
        if not own:
            self.pressed_elsewhere = message.data


def _profile(durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
