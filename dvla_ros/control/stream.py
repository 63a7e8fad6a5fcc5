"""A sensor stream: a short history of stamped payloads, and how many arrived of how many were expected."""

import threading
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from typing import Generic, TypeVar

from dvla_ros.control.alignment_config import StreamTiming
from dvla_ros.control.stream_statistics import StreamStatistics as StreamStatistics
from dvla_ros.errors import ConfigurationError, ObservationError

Payload = TypeVar("Payload")

CLOCK_JUMP_S = 1.0
"""Stamps that go back by more, or that part from the time of arrival by more, are another clock's."""

_SPARE = 2
"""A stream may be this much faster than expected before its history gets shorter in time."""


class StampedStream(Generic[Payload]):
    """The latest samples of one stream in order of their stamps. Safe to store from one thread and read from another.

    The stamp of a sample is the time at which it was taken, see `StreamTiming`. A sample whose stamp is not newer than
    the newest is dropped: a camera that repeats its last frame must be seen to be frozen. If it is older by more than
    `CLOCK_JUMP_S`, the clock was set back: the history starts anew, and `jump` says so until `clear`.
    """

    def __init__(self, name: str, timing: StreamTiming, history_s: float, capacity: int | None = None) -> None:
        """Start empty.

        Args:
            name: Name for messages.
            timing: Expected rate, latency and timeline.
            history_s: Seconds of history to keep.
            capacity: Most samples to keep; None: twice as many as expected.

        Raises:
            ConfigurationError: The history is not positive.
        """
        if not history_s > 0.0:
            raise ConfigurationError(f"Stream '{name}' needs a positive history, got {history_s} s.")
        self.name = name
        self._timing, self._history = timing, history_s
        capacity = int(_SPARE * timing.expected_hz * history_s) + 2 if capacity is None else capacity
        self._samples: deque[tuple[float, Payload]] = deque(maxlen=capacity)
        self._lock = threading.Lock()
        self._reset()

    def store(self, stamp: float, payload: Payload, received: float | None = None) -> bool:
        """Keep a payload; nothing is decoded.

        Args:
            stamp: Seconds in the message's header; 0 when it has none.
            payload: What is kept.
            received: Seconds at which it arrived, on the clock of `now`; None: not known.

        Returns:
            Whether it was kept.
        """
        taken = self._timing.capture_time(stamp, received)
        with self._lock:
            refusal = self._refusal(stamp, taken)
            if refusal is not None:
                self._refused[refusal] += 1
                self._refused_since_newest[refusal] += 1
                return False
            self._follow_clock(taken, received)
            self._keep(taken, payload)
            return True

    @property
    def newest(self) -> float | None:
        """Newest stamp in seconds; None before the first sample."""
        return self._newest

    @property
    def arrived(self) -> float | None:
        """Seconds at which the newest sample arrived; None when there is none or that is not known."""
        return self._arrived

    @property
    def jump(self) -> float:
        """Seconds by which the stamps went back (negative) or fell behind the arrivals (positive); 0: they did not."""
        return self._jump

    def trouble(self) -> str:
        """What is wrong with the samples since the newest one that was kept; empty when nothing arrived."""
        with self._lock:
            since = dict(self._refused_since_newest)
        words = {
            "unstamped": "without a stamp (set stamp_source to receive)",
            "repeated": "with the same stamp again",
            "out_of_order": "with an older stamp",
        }
        return ", ".join(f"{since[kind]} {text}" for kind, text in words.items() if since.get(kind))

    def nearest(self, stamp: float) -> tuple[float, Payload]:
        """The sample whose stamp is nearest to `stamp`; raises ObservationError when there is none."""
        before, after = self.around(stamp)
        return before if stamp - before[0] <= after[0] - stamp else after

    def at(self, stamp: float) -> Payload:
        """The sample with exactly this stamp; raises ObservationError when there is none."""
        found, payload = self.around(stamp)[0]
        if found != stamp:
            raise ObservationError(f"'{self.name}' holds no sample of {stamp:.6f} s.")
        return payload

    def around(self, stamp: float) -> tuple[tuple[float, Payload], tuple[float, Payload]]:
        """The samples before and after `stamp`; twice the first or last one where the history does not reach.

        Raises:
            ObservationError: There is no sample.
        """
        with self._lock:
            samples = list(self._samples)
        if not samples:
            raise ObservationError(f"'{self.name}' holds no sample; wait for the next one.")
        index = bisect_right(samples, stamp, key=_stamp)
        return samples[max(index - 1, 0)], samples[min(index, len(samples) - 1)]

    def between(self, start: float, end: float) -> list[tuple[float, Payload]]:
        """The samples with stamps from `start` to `end` seconds, both included."""
        with self._lock:
            samples = list(self._samples)
        return samples[bisect_left(samples, start, key=_stamp) : bisect_right(samples, end, key=_stamp)]

    def clear(self) -> None:
        """Forget the samples and their stamps and count anew; then a clock that was set back is accepted."""
        with self._lock:
            self._reset()

    def statistics(self) -> StreamStatistics:
        """Delivery since the first sample, or since `clear`."""
        with self._lock:
            refused = dict(self._refused)
            if self._first is None or self._newest is None:
                return StreamStatistics(dropped=sum(refused.values()), **refused)
            span = self._newest - self._samples[0][0]
            return StreamStatistics(
                received=self._received,
                expected=round((self._newest - self._first) * self._timing.expected_hz) + 1,
                dropped=sum(refused.values()),
                newest=self._newest,
                rate_hz=(len(self._samples) - 1) / span if span > 0.0 else 0.0,
                **refused,
            )

    def _reset(self) -> None:
        self._samples.clear()
        self._first: float | None = None
        self._newest: float | None = None
        self._arrived: float | None = None
        self._least_lag: float | None = None
        self._jump = 0.0
        self._received = 0
        self._refused: Counter[str] = Counter()
        self._refused_since_newest: Counter[str] = Counter()

    def _refusal(self, stamp: float, taken: float) -> str | None:
        if self._timing.timeline == "header" and stamp == 0.0:
            return "unstamped"
        if self._newest is None or taken > self._newest or taken < self._newest - CLOCK_JUMP_S:
            return None
        return "repeated" if taken == self._newest else "out_of_order"

    def _follow_clock(self, taken: float, received: float | None) -> None:
        """Notice jumps of the stamps, and of the arrivals against the stamps."""
        if self._newest is not None and taken < self._newest:
            jump = taken - self._newest
            self._reset()
            self._jump = jump
        self._arrived = received
        if received is None:
            return
        lag = received - taken
        self._least_lag = lag if self._least_lag is None else min(lag, self._least_lag)
        behind = lag - self._least_lag
        if self._jump >= 0.0:
            self._jump = behind if behind > CLOCK_JUMP_S else 0.0

    def _keep(self, taken: float, payload: Payload) -> None:
        self._first = taken if self._first is None else self._first
        self._newest = taken
        self._received += 1
        self._refused_since_newest.clear()
        self._samples.append((taken, payload))
        while self._samples[0][0] < taken - self._history:
            self._samples.popleft()


def _stamp(sample: tuple[float, object]) -> float:
    return sample[0]
