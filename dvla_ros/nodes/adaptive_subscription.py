"""A subscription whose quality of service follows what the publishers offer."""

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

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
        latched: Also take the message published before, if every publisher keeps it for those who come late. Not for
            sensors: an old sample must not look like a new one.
        raw: Take the bytes as they arrive. The callback gets them and, as a second argument, when they arrived: the
            dictionary of rclpy's `MessageInfo`.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        callback: Callable[..., None],
        depth: int = DEPTH,
        *,
        latched: bool = False,
        raw: bool = False,
    ) -> None:
        self._node, self._type, self._callback, self._depth = (node, message_type, callback, depth)
        self._latched, self._raw = latched, raw
        self._type_name = f"{message_type.__module__.split('.')[0]}/msg/{message_type.__name__}"
        self._incompatible = ""
        self.topic = topic
        self.lost = 0
        """Messages that ROS says it has lost on their way, over all publishers."""
        self._profile = self._wanted()
        self._subscription = self._subscribe()

    @property
    def reliable(self) -> bool:
        """Whether the subscription is reliable at present."""
        return bool(self._profile.reliability == ReliabilityPolicy.RELIABLE)

    @property
    def kept(self) -> bool:
        """Whether its newest message holds until the next one: every publisher keeps it for those who come late."""
        return bool(self._profile.durability == DurabilityPolicy.TRANSIENT_LOCAL)

    @property
    def publishers(self) -> int:
        """How many publishers the topic has at present."""
        return int(self._node.count_publishers(self.topic))

    @property
    def problem(self) -> str:
        """Whose type is another, or whose policy does not match (until `adapt` cures it); empty when all is well."""
        others = sorted({info.topic_type for info in self._offers()} - {self._type_name})
        if others:
            return f"{self.topic}: a publisher sends {', '.join(others)}, needed is {self._type_name}"
        return self._incompatible

    def adapt(self) -> bool:
        """Subscribe anew when the publishers' offers ask for it; True when it did."""
        wanted = self._wanted()
        self._incompatible = ""
        if (wanted.reliability, wanted.durability) == (self._profile.reliability, self._profile.durability):
            return False
        self._profile = wanted
        self._node.destroy_subscription(self._subscription)
        self._subscription = self._subscribe()
        return True

    def destroy(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def _offers(self) -> Sequence[Any]:
        return list(self._node.get_publishers_info_by_topic(self.topic))

    def _wanted(self) -> QoSProfile:
        offers = [info.qos_profile for info in self._offers() if info.topic_type == self._type_name]
        reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
        kept = bool(offers) and all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
        return QoSProfile(
            depth=self._depth,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if kept and self._latched else DurabilityPolicy.VOLATILE,
        )

    def _subscribe(self) -> Any:
        # Each event is one more thing to look at with every message; for raw ones, `adapt` alone follows the offers.
        events = (
            SubscriptionEventCallbacks(message_lost=self._on_lost, use_default_callbacks=False)
            if self._raw
            else SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos)
        )
        return self._node.create_subscription(
            self._type, self.topic, self._callback, self._profile, event_callbacks=events, raw=self._raw
        )

    def _on_lost(self, event: Any) -> None:
        self.lost += event.total_count_change

    def _on_incompatible_qos(self, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        self._incompatible = f"{self.topic}: a publisher offers another {policy}; nothing is received from it"
