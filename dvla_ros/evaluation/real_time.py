"""What a recording played in real time against running nodes shows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

from dvla_ros.evaluation.json_numbers import known
from dvla_ros.evaluation.statistics import percentile


@dataclass(frozen=True)
class Milliseconds:
    """How long something took, in milliseconds; NaN where it never happened."""

    p50: float
    p95: float
    p99: float
    worst: float

    @staticmethod
    def of(durations_s: Sequence[float]) -> "Milliseconds":
        """Of durations in seconds."""
        values = [1e3 * duration for duration in durations_s]
        return Milliseconds(*(percentile(values, percent) for percent in (50, 95, 99, 100)))


@dataclass(frozen=True)
class StreamFigures:
    """One stream on its way to the policy.

    Attributes:
        name: A camera's name, or `joint_states`.
        played: Messages that were published.
        received: Of them, those that the policy received.
    """

    name: str
    played: int
    received: int

    @property
    def drops(self) -> int:
        """Messages that the policy never saw."""
        return max(0, self.played - self.received)


@dataclass(frozen=True)
class RejectedChunks:
    """How many chunks were rejected for one reason, a word of docs/safety.md."""

    reason: str
    count: int


@dataclass(frozen=True)
class RealTimeFigures:
    """What was measured while a recording was played.

    Attributes:
        bag: The recording.
        checkpoint: The policy's folder.
        machine: What it ran on, in words.
        instruction: What the policy was asked to do, as played; the last one where there were several.
        played_s: Seconds of the recording that were played.
        chunks: Chunks that arrived.
        accepted: Of them, those that the chunker took over.
        rejected: The others, by reason.
        latency: From the time of the observation to the arrival of its chunk.
        age: From the time of the observation to the beginning of the inference.
        inference: The inference itself.
        streams: What was played, and what the policy got.
        overruns: Messages that were played late, because reading or this machine was too slow.
        lateness: How late messages were played.
        warnings: What limits these figures, in words.
    """

    bag: str
    checkpoint: str
    machine: str
    instruction: str
    played_s: float
    chunks: int
    accepted: int
    rejected: tuple[RejectedChunks, ...]
    latency: Milliseconds
    age: Milliseconds
    inference: Milliseconds
    streams: tuple[StreamFigures, ...]
    overruns: int
    lateness: Milliseconds
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """All of it as JSON allows it; numbers that are not known are null."""
        facts = asdict(self) | {"streams": [asdict(stream) | {"drops": stream.drops} for stream in self.streams]}
        return cast(dict[str, object], known(facts))
