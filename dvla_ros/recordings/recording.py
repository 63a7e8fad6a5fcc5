"""What a recorder does with the messages it gets: write all of them, or keep the last ones until somebody asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dvla_ros.recordings.received_message import ReceivedMessage


@dataclass(frozen=True)
class Written:
    """What has been written so far.

    Attributes:
        bags: Folders of the bags, the newest last.
        topics: How many messages in them, by topic.
        bytes: Bytes of these messages.
        refused: Why a topic cannot be recorded, by topic.
        kept_s: Seconds that are kept in memory.
        kept_bytes: Bytes that are kept in memory.
    """

    bags: tuple[Path, ...] = ()
    topics: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)
    kept_s: float = 0.0
    kept_bytes: int = 0

    @property
    def messages(self) -> int:
        """Messages in all bags."""
        return sum(self.topics.values())


class Recording(Protocol):
    """Where a `WriterThread` puts messages; its thread alone calls, except for `written`."""

    @property
    def written(self) -> Written:
        """What has been written so far; any thread may ask."""
        ...

    def take(self, message: ReceivedMessage) -> None:
        """Record one message, or keep it for later."""
        ...

    def save(self, folder: Path, now_ns: int) -> None:
        """Write what is kept, and what comes next, into a new bag."""
        ...

    def work(self, now_ns: int) -> bool:
        """Do a little of what is left to do; whether there is more."""
        ...

    def close(self) -> None:
        """Finish every bag."""
        ...
