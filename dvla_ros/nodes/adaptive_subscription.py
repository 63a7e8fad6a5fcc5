"""A subscription whose reliability follows what the publishers offer."""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

DEPTH = 2
"""Only the newest messages matter; a longer queue only adds age."""


class AdaptiveSubscription:
    """Subscribes reliably if every publisher of the topic offers it, else best effort.

    A reliable subscriber does not match a best-effort publisher at all, and a best-effort subscriber loses large images
    that are sent in fragments. `adapt` must be called now and then: publishers come and go.

    Args:
        node: The node that subscribes.
        message_type: Message class.
        topic: Topic name.
        callback: Called with each message; must only store it.
        depth: Queue length.
    """

    def __init__(
        self, node: Node, message_type: type, topic: str, callback: Callable[[Any], None], depth: int = DEPTH
    ) -> None:
        self._node, self._type, self._callback, self._depth = (node, message_type, callback, depth)
        self.topic = topic
        self._reliable = True
        self._subscription = self._subscribe()

    @property
    def reliable(self) -> bool:
        """Whether the subscription is reliable at present."""
        return self._reliable

    @property
    def publishers(self) -> int:
        """How many publishers the topic has at present."""
        return int(self._node.count_publishers(self.topic))

    def adapt(self) -> bool:
        """Subscribe anew when the publishers' reliability asks for it; True when it did."""
        offers = [info.qos_profile.reliability for info in self._node.get_publishers_info_by_topic(self.topic)]
        wanted = all(offer == ReliabilityPolicy.RELIABLE for offer in offers)
        if wanted == self._reliable:
            return False
        self._reliable = wanted
        self._node.destroy_subscription(self._subscription)
        self._subscription = self._subscribe()
        return True

    def destroy(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def _subscribe(self) -> Any:
        reliability = ReliabilityPolicy.RELIABLE if self._reliable else ReliabilityPolicy.BEST_EFFORT
        profile = QoSProfile(depth=self._depth, reliability=reliability)
        return self._node.create_subscription(self._type, self.topic, self._callback, profile)
