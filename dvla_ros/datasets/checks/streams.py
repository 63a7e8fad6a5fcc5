"""Streams of a recording: stamps that are not set or go back, lost messages, and clocks that disagree."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dvla_ros.datasets.checks.finding import Finding, error

_LOST_FROM = 1.6
"""A distance of this many usual ones between two stamps says that a message is missing between them."""
_LOST_SHARE = 0.02
_PAUSE_S = 1.0
"""When all streams are silent for longer, nothing was lost: somebody stopped them between two episodes."""
_SKEW_S = 0.1
"""Streams whose stamps are older on arrival than those of another by more than this have another clock or latency."""
_ANOTHER_CLOCK_S = 5.0
_DRIFT_S = 0.05
_FEWEST = 5


@dataclass(frozen=True)
class StreamTimes:
    """When the messages of a topic were stamped and recorded.

    Attributes:
        topic: Its name.
        stamps: float64 `[N]` s, from the headers.
        received: float64 `[N]` s, in order of recording.
    """

    topic: str
    stamps: np.ndarray
    received: np.ndarray

    @property
    def period(self) -> float:
        """Usual distance of two stamps, s; NaN where there are too few."""
        steps = np.diff(np.sort(self.stamps))
        return float(np.median(steps[steps > 0])) if (steps > 0).any() else float("nan")

    @property
    def rate(self) -> float:
        """Usual messages a second; NaN where there are too few."""
        return 1.0 / self.period

    @property
    def backwards(self) -> int:
        """How often a stamp is older than the one before."""
        return int((np.diff(self.stamps) < 0).sum())

    @property
    def age(self) -> np.ndarray:
        """How old each message was when it was recorded, s."""
        return self.received - self.stamps


def lost_messages(stream: StreamTimes, others: Mapping[str, StreamTimes]) -> int:
    """Messages that are missing between others, judged by the usual distance; pauses of all streams do not count."""
    ordered, period = np.sort(stream.received), stream.period
    steps = np.diff(ordered)
    if not period > 0:
        return 0
    lost = 0
    for i in np.flatnonzero(steps > _LOST_FROM * period):
        if steps[i] > _PAUSE_S and all(_silent(other, ordered[i], ordered[i + 1]) for other in others.values()):
            continue
        lost += round(steps[i] / period) - 1
    return lost


def _silent(stream: StreamTimes, start: float, end: float) -> bool:
    """Whether nearly all of a time has no message of a stream."""
    inside = stream.received[(stream.received > start) & (stream.received < end)]
    return bool(np.diff(np.concatenate([[start], np.sort(inside), [end]])).max() > (end - start) - _PAUSE_S)


def check_streams(streams: Mapping[str, StreamTimes]) -> Iterator[Finding]:
    """All checks of a recording's streams, by topic."""
    for stream in streams.values():
        if len(stream.stamps) < _FEWEST:
            yield error("streams", f"{stream.topic} has {len(stream.stamps)} messages only.")
            continue
        yield from _check_stamps(stream)
        yield from _check_lost(stream, streams)
    stamped = [s for s in streams.values() if len(s.stamps) >= _FEWEST and s.stamps.max() > 0.0]
    if len(stamped) > 1:
        yield from _check_clocks(stamped)


def _check_stamps(stream: StreamTimes) -> Iterator[Finding]:
    unset = int((stream.stamps == 0.0).sum())
    if unset:
        yield Finding(
            "stamps",
            f"{stream.topic}: {unset} of {len(stream.stamps)} stamps were never set; have its driver stamp messages, "
            "or give --stamp-source receive.",
        )
    elif stream.backwards:
        yield Finding(
            "stamps",
            f"{stream.topic}: stamps go back {stream.backwards} times; two drivers on one topic, or a clock that was "
            "set?",
        )


def _check_lost(stream: StreamTimes, streams: Mapping[str, StreamTimes]) -> Iterator[Finding]:
    others = {topic: other for topic, other in streams.items() if other is not stream}
    lost = lost_messages(stream, others)
    if lost > _LOST_SHARE * (len(stream.stamps) + lost):
        yield Finding(
            "lost",
            f"{stream.topic}: about {lost} of {len(stream.stamps) + lost} messages are missing at {stream.rate:.1f} a "
            "second; is the network or the disk too slow?",
        )


def _check_clocks(streams: list[StreamTimes]) -> Iterator[Finding]:
    ages = {stream.topic: float(np.median(stream.age)) for stream in streams}
    if min(abs(age) for age in ages.values()) > _ANOTHER_CLOCK_S:
        yield Finding(
            "clock skew",
            f"All stamps are {np.median(list(ages.values())):.1f} s away from the time of their recording: they are of "
            "another clock (simulated time?). If no frame is usable, give --stamp-source receive.",
        )
        return
    oldest, newest = max(ages, key=ages.__getitem__), min(ages, key=ages.__getitem__)
    if ages[oldest] - ages[newest] > _SKEW_S:
        yield Finding(
            "clock skew",
            f"Messages of {oldest} are {ages[oldest]:.3f} s old when they are recorded, those of {newest} "
            f"{ages[newest]:.3f} s: their clocks or latencies differ by {ages[oldest] - ages[newest]:.3f} s. Set the "
            "clocks by one another (chrony), or give camera_latency_s to the policy.",
        )
    for stream in streams:
        quarter = max(len(stream.age) // 4, 1)
        drift = float(np.median(stream.age[-quarter:]) - np.median(stream.age[:quarter]))
        if abs(drift) > _DRIFT_S:
            yield Finding(
                "clock skew",
                f"The stamps of {stream.topic} drift by {drift:+.3f} s against the recorder's clock during the "
                "recording.",
            )
