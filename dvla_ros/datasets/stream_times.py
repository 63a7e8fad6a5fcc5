"""Stamps of a recording's cameras and joints, read from the first bytes of each message."""

import struct
from collections.abc import Collection

import numpy as np

from dvla_ros.datasets.checks.streams import StreamTimes
from dvla_ros.recordings.bag import Bag

_HEADER = 12
"""Encapsulation, seconds and nanoseconds: where `std_msgs/Header` stands first, whatever follows."""


def stream_times(bag: Bag, topics: Collection[str]) -> dict[str, StreamTimes]:
    """Stamp and time of recording of every message of topics whose messages begin with a header.

    Args:
        bag: Open.
        topics: Those of cameras and joints; a topic that the bag lacks is left out.
    """
    stamps: dict[str, list[float]] = {topic: [] for topic in topics if topic in bag.topics}
    received: dict[str, list[float]] = {topic: [] for topic in stamps}
    for message in bag.messages(list(stamps)):
        stamp = header_stamp(message.data)
        if stamp is not None:
            stamps[message.topic].append(stamp)
            received[message.topic].append(message.received)
    return {topic: StreamTimes(topic, np.array(stamps[topic]), np.array(received[topic])) for topic in stamps}


def header_stamp(data: bytes | memoryview) -> float | None:
    """Seconds of the stamp of a serialised message (CDR) that begins with a header; None where it is too short."""
    if len(data) < _HEADER:
        return None
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return float(seconds) + 1e-9 * float(nanoseconds)
