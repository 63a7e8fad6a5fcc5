"""A message as it arrived: bytes that nobody has looked into."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReceivedMessage:
    """One message on its way into a bag.

    Attributes:
        topic: Topic name.
        type: Message type, e.g. `sensor_msgs/msg/Image`.
        received_ns: When it arrived, in nanoseconds since 1970.
        data: The message in CDR.
        latched: Whether its publisher keeps it for those who come late: it holds until the next one.
    """

    topic: str
    type: str
    received_ns: int
    data: bytes
    latched: bool = False
