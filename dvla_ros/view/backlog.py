"""What waits to be drawn: bounded, and pictures never wait behind newer ones."""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Waiting:
    """A message that waits: the topic it came on, and when it arrived, in seconds."""

    topic: str
    message: Any
    received: float


class Backlog:
    """A queue between the thread that receives and the one that draws.

    Of a topic that is replaceable (pictures, joints) only the newest message waits; others wait in order, at most
    `capacity` of them, and the oldest is dropped when there are more. The thread that receives is never blocked.

    Args:
        capacity: Messages that are not replaceable.
    """

    def __init__(self, capacity: int = 200) -> None:
        self._ready = threading.Condition()
        self._in_order: deque[Waiting] = deque()
        self._newest: OrderedDict[str, Waiting] = OrderedDict()
        self._capacity, self._closed = capacity, False
        self.dropped = 0

    def put(self, waiting: Waiting, replaceable: bool) -> None:
        """Add a message."""
        with self._ready:
            if replaceable:
                self.dropped += waiting.topic in self._newest
                self._newest[waiting.topic] = waiting
            else:
                if len(self._in_order) >= self._capacity:
                    self._in_order.popleft()
                    self.dropped += 1
                self._in_order.append(waiting)
            self._ready.notify()

    def take(self) -> Waiting | None:
        """Wait for a message, those that are not replaceable first; None once it is closed."""
        with self._ready:
            self._ready.wait_for(lambda: self._closed or self._in_order or self._newest)
            if self._closed:
                return None
            if self._in_order:
                return self._in_order.popleft()
            return self._newest.popitem(last=False)[1]

    def close(self) -> None:
        """Wake whoever takes; what waits is forgotten."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
