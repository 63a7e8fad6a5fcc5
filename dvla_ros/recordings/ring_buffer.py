"""The messages of the last seconds, and what still held when they began."""

from collections import deque
from dataclasses import replace

from dvla_ros.errors import ConfigurationError
from dvla_ros.recordings.received_message import ReceivedMessage


class RingBuffer:
    """Keeps messages in the order of their arrival; the oldest go first.

    A latched message (policy info, instruction) holds until the next one of its topic: the newest that has left the
    buffer is remembered, and every copy begins with it.

    Args:
        keep_s: Older messages go.
        most_bytes: Even younger ones go when together they are larger.

    Raises:
        ConfigurationError: A limit is not positive.
    """

    def __init__(self, keep_s: float, most_bytes: int) -> None:
        if not keep_s > 0.0 or most_bytes <= 0:
            raise ConfigurationError(f"A ring buffer needs a time and a size above 0, got {keep_s} s, {most_bytes} B.")
        self._keep_ns, self._most = int(keep_s * 1e9), most_bytes
        self._messages: deque[ReceivedMessage] = deque()
        self._holding: dict[str, ReceivedMessage] = {}
        self.bytes = 0

    def __len__(self) -> int:
        """How many messages are kept."""
        return len(self._messages)

    @property
    def span_s(self) -> float:
        """Seconds from the oldest to the newest message; less than asked for where the size is the limit."""
        return 1e-9 * (self._messages[-1].received_ns - self._messages[0].received_ns) if self._messages else 0.0

    def add(self, message: ReceivedMessage) -> None:
        """Keep one more message."""
        self._messages.append(message)
        self.bytes += len(message.data)
        while len(self._messages) > 1 and (self.bytes > self._most or self._is_old(message.received_ns)):
            self._drop_oldest()

    def copy(self) -> list[ReceivedMessage]:
        """What is kept, oldest first; the messages themselves are shared.

        What held before comes first, with the time of the oldest message: the copy spans the kept time and no more.
        """
        if not self._messages:
            return list(self._holding.values())
        begin = self._messages[0].received_ns
        return [*(replace(held, received_ns=begin) for held in self._holding.values()), *self._messages]

    def _is_old(self, newest_ns: int) -> bool:
        return newest_ns - self._messages[0].received_ns > self._keep_ns

    def _drop_oldest(self) -> None:
        oldest = self._messages.popleft()
        self.bytes -= len(oldest.data)
        if oldest.latched:
            self._holding[oldest.topic] = oldest
