"""The last seconds in memory, written when somebody asks or something went wrong."""

from collections import Counter, deque
from dataclasses import dataclass, replace
from pathlib import Path

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.bag_writer import Storage
from dvla_ros.recordings.received_message import ReceivedMessage
from dvla_ros.recordings.recording import Written
from dvla_ros.recordings.ring_buffer import RingBuffer
from dvla_ros.recordings.sparing_writer import SparingWriter

MOST_SAVES = 3
"""Bags that are being written at once; each holds on to its messages."""
_PORTION_BYTES = 8_000_000
"""Written at a time: new messages wait no longer than this takes."""


@dataclass
class _Save:
    """A bag that is being written: what is left of it, and until when messages belong to it."""

    bag: SparingWriter
    left: deque[ReceivedMessage]
    until_ns: int


class KeptRecording:
    """Keeps the last seconds and writes them, and some seconds more, into a new bag at each `save`.

    Args:
        ring: What is kept.
        after_s: Seconds after `save` that belong to the bag, too.
        storage: Format of the file.
        least_free_bytes: No more is written when the disk has less left.
    """

    def __init__(self, ring: RingBuffer, after_s: float, storage: Storage = "mcap", least_free_bytes: int = 0) -> None:
        self._ring, self._after_ns = ring, int(after_s * 1e9)
        self._storage, self._least_free = storage, least_free_bytes
        self._saves: list[_Save] = []
        self._done = Written()

    @property
    def written(self) -> Written:
        """What has been written so far, and what is kept."""
        total = self._done
        for save in list(self._saves):
            total = _sum(total, save.bag.written)
        return replace(total, kept_s=self._ring.span_s, kept_bytes=self._ring.bytes)

    def take(self, message: ReceivedMessage) -> None:
        """Keep one message; it also belongs to the bags that wait for what comes next."""
        self._ring.add(message)
        for save in self._saves:
            if message.received_ns <= save.until_ns:
                save.left.append(message)

    def save(self, folder: Path, now_ns: int) -> None:
        """Begin a bag with all that is kept; `work` writes it.

        Raises:
            RecordingError: The folder exists, cannot be made, or too many bags are being written already.
        """
        if len(self._saves) >= MOST_SAVES:
            raise RecordingError(f"{folder} is not written: {len(self._saves)} bags are being written already.")
        bag = SparingWriter(folder, self._storage, self._least_free)
        self._saves.append(_Save(bag, deque(self._ring.copy()), now_ns + self._after_ns))

    def work(self, now_ns: int) -> bool:
        """Write a portion of each bag, and finish those that are complete; whether messages are left.

        Raises:
            RecordingError: The disk is nearly full; that bag is finished with what it has.
            OSError: The disk is gone.
        """
        for save in list(self._saves):
            try:
                _write_portion(save)
            except (RecordingError, OSError):
                self._finish(save)
                raise
            if not save.left and now_ns > save.until_ns:
                self._finish(save)
        return any(save.left for save in self._saves)

    def close(self) -> None:
        """Finish every bag with what there is."""
        while self._saves:
            save = self._saves[0]
            try:
                while save.left:
                    _write_portion(save)
            finally:
                self._finish(save)

    def _finish(self, save: _Save) -> None:
        save.bag.close()
        self._done = _sum(self._done, save.bag.written)
        self._saves.remove(save)


def _write_portion(save: _Save) -> None:
    written = 0
    while save.left and written < _PORTION_BYTES:
        message = save.left.popleft()
        save.bag.write(message)
        written += len(message.data)
    save.bag.flush()


def _sum(one: Written, other: Written) -> Written:
    return Written(
        one.bags + other.bags,
        dict(Counter(one.topics) + Counter(other.topics)),
        one.bytes + other.bytes,
        {**one.refused, **other.refused},
    )
