"""A thread that writes what others receive; whoever receives never waits for the disk."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from dvla_ros.errors import RecordingError
from dvla_ros.recordings.bag_writer import FLUSH_S
from dvla_ros.recordings.received_message import ReceivedMessage
from dvla_ros.recordings.recording import Recording, Written


class WriterThread:
    """Hands messages to a `Recording` from a thread of its own, through a queue of bounded size.

    Attributes:
        problem: Why nothing is written any more; empty while all is well.

    Args:
        open_recording: Makes what messages are handed to; called and used by the thread alone, as SQLite demands.
        most_bytes: Size of the queue; messages that do not fit are dropped and counted.
        say: Called in the thread with a sentence when a save cannot be done or writing ends early.
    """

    def __init__(self, open_recording: Callable[[], Recording], most_bytes: int, say: Callable[[str], None]) -> None:
        self._open, self._most, self._say = open_recording, most_bytes, say
        self._opened: Future[Recording] = Future()
        self._changed = threading.Condition()
        self._queue: deque[ReceivedMessage] = deque()
        self._queued_bytes = self._taken_bytes = 0
        self._saves: deque[tuple[Path, int]] = deque()
        self._dropped: Counter[str] = Counter()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.problem = ""

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait to be written."""
        return self._queued_bytes

    @property
    def dropped(self) -> dict[str, int]:
        """Messages that were dropped because the queue was full or nothing is written any more, by topic."""
        with self._changed:
            return dict(self._dropped)

    @property
    def written(self) -> Written:
        """What has been written so far."""
        return self._opened.result().written

    def start(self) -> None:
        """Start writing.

        Raises:
            RecordingError: The recording cannot be opened.
        """
        self._thread.start()
        self._opened.result()

    def put(self, message: ReceivedMessage) -> None:
        """Any thread: record a message, or drop it where the queue is full; never waits."""
        with self._changed:
            if self.problem or self._queued_bytes + len(message.data) > self._most:
                self._dropped[message.topic] += 1
                return
            self._queue.append(message)
            self._queued_bytes += len(message.data)
            self._changed.notify()

    def save(self, folder: Path) -> None:
        """Any thread: write what is kept into a new bag."""
        with self._changed:
            self._saves.append((folder, time.time_ns()))
            self._changed.notify()

    def stop(self) -> None:
        """Write what is queued, finish every bag and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            recording = self._open()
        except Exception as error:  # whoever calls `start` raises it
            self._opened.set_exception(error)
            return
        self._opened.set_result(recording)
        self._write(recording)
        self._close(recording)

    def _write(self, recording: Recording) -> None:
        worked, more = 0.0, False
        while not self._stopping or self._queue or self._saves:
            messages, saves = self._next(0.0 if more else FLUSH_S)
            if self.problem:
                continue
            try:
                for message in messages:
                    recording.take(message)
                for folder, now_ns in saves:
                    self._save(recording, folder, now_ns)
                if more or saves or time.monotonic() - worked >= FLUSH_S:
                    more, worked = recording.work(time.time_ns()), time.monotonic()
            except Exception as error:  # without this thread nobody would say why nothing is written any more
                more = self._fail(error)

    def _next(self, patience_s: float) -> tuple[list[ReceivedMessage], list[tuple[Path, int]]]:
        """What has come meanwhile; nothing when nothing comes in time.

        The messages count as queued until the next call: they are still in memory.
        """
        with self._changed:
            self._queued_bytes -= self._taken_bytes
            if not (self._queue or self._saves or self._stopping):
                self._changed.wait(patience_s)
            messages, saves = list(self._queue), list(self._saves)
            self._queue.clear()
            self._saves.clear()
            self._taken_bytes = self._queued_bytes
            return messages, saves

    def _save(self, recording: Recording, folder: Path, now_ns: int) -> None:
        try:
            recording.save(folder, now_ns)
        except RecordingError as error:
            self._say(str(error))

    def _fail(self, error: Exception) -> bool:
        """Nothing is written from now on, and never more work."""
        self.problem = str(error) if isinstance(error, RecordingError) else f"The bag cannot be written: {error}"
        self._say(self.problem)
        return False

    def _close(self, recording: Recording) -> None:
        self._queued_bytes = 0
        try:
            recording.close()
        except Exception as error:  # as above
            self._fail(error)
