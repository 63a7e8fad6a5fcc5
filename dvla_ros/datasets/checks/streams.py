"""Streams of a recording: stamps that are not set or go back, lost pictures, and clocks that disagree."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dvla_ros.datasets.checks.finding import Finding, error

_LOST_FROM = 1.6
"""A distance of this many usual ones between two stamps says that a message is missing between them."""
_LOST_SHARE = 0.02
_SKEW_S = 0.1
"""Streams whose stamps are older on arrival than those of another by more than this have another clock or latency."""
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
    def lost(self) -> int:
        """Messages that are missing between others, judged by the usual distance."""
        steps, period = np.diff(np.sort(self.stamps)), self.period
        if not period > 0:
            return 0
        return int(sum(round(step / period) - 1 for step in steps[steps > _LOST_FROM * period]))

    @property
    def backwards(self) -> int:
        """How often a stamp is older than the one before."""
        return int((np.diff(self.stamps) < 0).sum())

    @property
    def age(self) -> np.ndarray:
        """How old each message was when it was recorded, s."""
        return self.received - self.stamps


def check_streams(streams: Mapping[str, StreamTimes]) -> Iterator[Finding]:
    """All checks of a recording's streams, by topic."""
    for stream in streams.values():
        if len(stream.stamps) < _FEWEST:
            yield error("streams", f"{stream.topic} has {len(stream.stamps)} messages only.")
            continue
        yield from _check_one(stream)
    stamped = [s for s in streams.values() if len(s.stamps) >= _FEWEST and s.stamps.max() > 0.0]
    if len(stamped) > 1:
        yield from _check_clocks(stamped)


def _check_one(stream: StreamTimes) -> Iterator[Finding]:
    unset = int((stream.stamps == 0.0).sum())
    if unset:
        yield Finding(
            "stamps",
            f"{stream.topic}: {unset} of {len(stream.stamps)} stamps were never set; have its driver stamp messages.",
        )
        return
    if stream.backwards:
        yield Finding(
            "stamps",
            f"{stream.topic}: stamps go back {stream.backwards} times; two drivers on one topic, or a clock that was "
            "set?",
        )
    if stream.lost > _LOST_SHARE * (len(stream.stamps) + stream.lost):
        yield Finding(
            "lost",
            f"{stream.topic}: about {stream.lost} of {len(stream.stamps) + stream.lost} messages are missing at "
            f"{stream.rate:.1f} a second; is the network or the disk too slow?",
        )


def _check_clocks(streams: list[StreamTimes]) -> Iterator[Finding]:
    ages = {stream.topic: float(np.median(stream.age)) for stream in streams}
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
