"""A bag that lets somebody look at every message that somebody else reads: one pass for both."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from dvla_ros.recordings.bag import Bag, RecordedMessage


class WatchedBag(Bag):
    """A `Bag` whose messages are shown to `watch` on their way.

    Args:
        path: As of `Bag`.

    Attributes:
        watch: Called with each message before the reader gets it; None: nobody looks.
        counts: Messages read so far, by topic; of a topic that was read several times the most in one pass.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.watch: Callable[[RecordedMessage], None] | None = None
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> "WatchedBag":
        """The bag, open."""
        return self

    def messages(
        self, topics: Collection[str], start: float | None = None, end: float | None = None
    ) -> Iterator[RecordedMessage]:
        """As of `Bag`."""
        passed: Counter[str] = Counter()
        for recorded in super().messages(topics, start, end):
            passed[recorded.topic] += 1
            self.counts[recorded.topic] = max(self.counts[recorded.topic], passed[recorded.topic])
            if self.watch is not None:
                self.watch(recorded)
            yield recorded
