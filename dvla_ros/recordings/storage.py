"""What the storage files of a bag have in common, whatever their format."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

FIRST_NS, LAST_NS = 0, 2**63 - 1
"""No message is recorded before or after, in ns."""


@dataclass(frozen=True)
class Channel:
    """A topic as one storage file declares it.

    Attributes:
        topic: Name.
        type: Message type, e.g. `sensor_msgs/msg/Image`.
        serialization: `cdr` is what can be read.
        definition: Text of the message definition; empty: the file has none.
        definition_format: `ros2msg` or `ros2idl`.
    """

    topic: str
    type: str
    serialization: str = "cdr"
    definition: str = ""
    definition_format: str = "ros2msg"


class Stored(NamedTuple):
    """A message as it lies in a file: time of its recording in ns, topic, serialised data."""

    received_ns: int
    topic: str
    data: bytes


class StorageFile(Protocol):
    """One file of a bag.

    Attributes:
        path: The file.
        channels: Its topics.
        start_ns: Time of the first recording; `LAST_NS` when it is empty.
        end_ns: Time of the last recording; `FIRST_NS` when it is empty.
    """

    path: Path
    channels: tuple[Channel, ...]
    start_ns: int
    end_ns: int

    def messages(self, topics: Mapping[str, str], start_ns: int, end_ns: int) -> Iterator[Stored]:
        """The messages of some topics (to their types), in order of recording, both times included."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


Warn = Callable[[str], None]
"""Takes a sentence about something that is left out."""
