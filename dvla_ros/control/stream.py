"""A sensor stream: a short history of stamped payloads, and how many arrived of how many were expected."""

import threading
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from dvla_ros.errors import ConfigurationError, ObservationError

Payload = TypeVar("Payload")


@dataclass(frozen=True)
class StreamStatistics:
    """Delivery of one stream.

    Attributes:
        received: Samples stored.
        expected: Samples that should have arrived between the first and the newest stamp, at the expected rate.
        dropped: Samples refused because their stamp was not newer than the one before.
        newest: Newest stamp in seconds; None before the first sample.
    """

    received: int
    expected: int
    dropped: int
    newest: float | None


class StampedStream(Generic[Payload]):
    """The latest samples of one stream in order of their stamps. Safe to store from one thread and read from another.

    A sample whose stamp is not newer than the newest is dropped: a camera that repeats its last frame must be seen to
    be frozen.
    """

    def __init__(self, name: str, expected_hz: float, history_s: float) -> None:
        """Start empty.

        Args:
            name: Name for messages.
            expected_hz: Samples per second when nothing is lost.
            history_s: Seconds of history to keep.

        Raises:
            ConfigurationError: A rate or a time is not positive.
        """
        if not (expected_hz > 0.0 and history_s > 0.0):
            raise ConfigurationError(f"Stream '{name}' needs a positive rate and history, got {expected_hz} Hz.")
        self.name = name
        self._expected_hz = expected_hz
        self._samples: deque[tuple[float, Payload]] = deque(maxlen=int(expected_hz * history_s) + 2)
        self._lock = threading.Lock()
        self._received = 0
        self._dropped = 0
        self._first: float | None = None
        self._newest: float | None = None

    def store(self, stamp: float, payload: Payload) -> None:
        """Keep a payload with its stamp in seconds; nothing is decoded."""
        with self._lock:
            if self._newest is not None and stamp <= self._newest:
                self._dropped += 1
                return
            self._first = stamp if self._first is None else self._first
            self._newest = stamp
            self._received += 1
            self._samples.append((stamp, payload))

    @property
    def newest(self) -> float | None:
        """Newest stamp in seconds; None before the first sample."""
        return self._newest

    def nearest(self, stamp: float) -> tuple[float, Payload]:
        """The sample whose stamp is nearest to `stamp`; raises ObservationError when there is none."""
        before, after = self.around(stamp)
        return before if stamp - before[0] <= after[0] - stamp else after

    def around(self, stamp: float) -> tuple[tuple[float, Payload], tuple[float, Payload]]:
        """The samples before and after `stamp`; twice the first or last one where the history does not reach.

        Raises:
            ObservationError: There is no sample.
        """
        with self._lock:
            samples = list(self._samples)
        if not samples:
            raise ObservationError(f"'{self.name}' holds no sample; wait for the next one.")
        index = bisect_right(samples, stamp, key=lambda sample: sample[0])
        return samples[max(index - 1, 0)], samples[min(index, len(samples) - 1)]

    def clear(self) -> None:
        """Forget the samples and their stamps and count anew; then a clock that was set back is accepted."""
        with self._lock:
            self._samples.clear()
            self._first = self._newest = None
            self._received = self._dropped = 0

    def statistics(self) -> StreamStatistics:
        """Delivery since the first sample, or since `clear`."""
        with self._lock:
            if self._first is None or self._newest is None:
                return StreamStatistics(0, 0, self._dropped, None)
            expected = round((self._newest - self._first) * self._expected_hz) + 1
            return StreamStatistics(self._received, expected, self._dropped, self._newest)
