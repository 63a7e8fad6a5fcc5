"""Subscribes topics as they appear, and takes their messages as bytes."""

import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from dvla_ros.nodes.adaptive_subscription import AdaptiveSubscription
from dvla_ros.recordings.received_message import ReceivedMessage
from dvla_ros.recordings.recorder_topics import RecorderTopics
from dvla_ros.recordings.topics import COMPRESSED_IMAGE, IMAGE

_IMAGE_DEPTH, _DEPTH = 20, 500
"""Queue lengths: what came in a second or more must not be lost when the recorder, which gives way, waits for the CPU.

Images come 15 to 30 times a second and are large; joint states up to 500 times, and are small.
"""
INSTRUCTION = "/instruction"
LATCHED_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class RawTopics:
    """Every topic of a choice, with the quality of service that its publishers offer.

    `look` must be called now and then: topics and publishers come and go. A topic is subscribed once it has a
    publisher; what a latched topic said before comes then, too. `/instruction` is subscribed from the start, as
    `policy_node` does: who says a sentence may be gone the moment after.

    Args:
        node: The node that subscribes.
        topics: What is wanted.
        receive: Called in the node's thread with each message; must only store it.
    """

    def __init__(self, node: Node, topics: RecorderTopics, receive: Callable[[ReceivedMessage], None]) -> None:
        self._node, self._topics, self._receive = node, topics, receive
        self._streams: dict[str, AdaptiveSubscription] = {}
        self._unknown: dict[str, str] = {}
        self._instructions = (
            node.create_subscription(String, INSTRUCTION, self._on_instruction, LATCHED_QOS, raw=True)
            if INSTRUCTION in topics
            else None
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Topics that are subscribed."""
        return tuple(self._streams)

    @property
    def lost(self) -> dict[str, int]:
        """Messages that ROS lost on their way, by topic."""
        return {topic: stream.lost for topic, stream in self._streams.items() if stream.lost}

    @property
    def problems(self) -> list[str]:
        """Topics that cannot be heard, and why."""
        return [*self._unknown.values(), *(stream.problem for stream in self._streams.values() if stream.problem)]

    def look(self) -> None:
        """Subscribe what is new, and follow the publishers' quality of service."""
        for topic, types in self._node.get_topic_names_and_types():
            known = topic in self._streams or topic in self._unknown or topic == INSTRUCTION
            if topic in self._topics and not known and self._node.count_publishers(topic):
                self._subscribe(topic, types[0])
        for stream in self._streams.values():
            stream.adapt()

    def destroy(self) -> None:
        """Stop receiving."""
        for stream in self._streams.values():
            stream.destroy()
        if self._instructions is not None:
            self._node.destroy_subscription(self._instructions)

    def _subscribe(self, topic: str, type_name: str) -> None:
        message_type = _message_type(type_name)
        if message_type is None:
            self._unknown[topic] = f"{topic} is not recorded: {type_name} is not installed here"
            return
        callback = partial(self._on_message, topic, type_name)
        depth = _IMAGE_DEPTH if type_name in (IMAGE, COMPRESSED_IMAGE) else _DEPTH
        self._streams[topic] = AdaptiveSubscription(
            self._node, message_type, topic, callback, depth, latched=True, raw=True
        )

    def _on_message(self, topic: str, type_name: str, data: bytes, info: dict[str, Any]) -> None:
        stream = self._streams.get(topic)
        self._receive(ReceivedMessage(topic, type_name, _arrival_ns(info), data, stream is not None and stream.kept))

    def _on_instruction(self, data: bytes, info: dict[str, Any]) -> None:
        self._receive(ReceivedMessage(INSTRUCTION, "std_msgs/msg/String", _arrival_ns(info), data, True))


def _arrival_ns(info: dict[str, Any]) -> int:
    """When a message arrived, before it waited for this thread; not every middleware says it."""
    return int(info.get("received_timestamp", 0)) or time.time_ns()


def _message_type(name: str) -> Any:
    """The class of `package/msg/Name`; None where it is not installed."""
    package, _, kind = name.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), kind, None)
    except ImportError:
        return None
