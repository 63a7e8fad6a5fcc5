"""Parts of a recording that overlap in time, in one order."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from dvla_ros.recordings.storage import Stored

Part = tuple[int, Callable[[], Iterator[Stored]]]
"""Time of the first recording in ns, and what opens the part."""


def in_order(parts: Iterable[Part]) -> Iterator[Stored]:
    """The messages of all parts in order of recording; a part is opened only when its time has come.

    Messages of the same time come in the order of the parts, and within a part as they are.
    """
    waiting = deque(sorted(enumerate(parts), key=lambda numbered: (numbered[1][0], numbered[0])))
    opened: list[tuple[int, int, Stored, Iterator[Stored]]] = []
    while waiting or opened:
        while waiting and (not opened or waiting[0][1][0] <= opened[0][0]):
            number, (_, begin) = waiting.popleft()
            _advance(opened, number, begin())
        if opened:
            _, number, message, rest = heapq.heappop(opened)
            yield message
            _advance(opened, number, rest)


def _advance(opened: list[tuple[int, int, Stored, Iterator[Stored]]], number: int, rest: Iterator[Stored]) -> None:
    message = next(rest, None)
    if message is not None:
        heapq.heappush(opened, (message.received_ns, number, message, rest))
