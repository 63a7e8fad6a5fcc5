"""Looking through a whole data set: its statistics, and what looks wrong with it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dvla_ros.actions.normalization import DatasetStatistics
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.datasets.bag_source import BagSource
from dvla_ros.datasets.checks.all import findings
from dvla_ros.datasets.checks.columns import coverage
from dvla_ros.datasets.checks.finding import Finding, error
from dvla_ros.datasets.checks.motion import idle_share
from dvla_ros.datasets.checks.streams import StreamTimes, check_streams, lost_messages
from dvla_ros.datasets.gathered import Gathered, gather, statistics_of
from dvla_ros.datasets.idle import IdleFrames, without_idle_frames
from dvla_ros.datasets.trajectory import Source, Trajectory
from dvla_ros.errors import RecordingError


@dataclass(frozen=True)
class Examination:
    """What was found out.

    Attributes:
        source: Name of the data set.
        convention: What the actions are.
        fps: Frames a second.
        cameras: Names.
        episodes: Episodes there are.
        frames: Usable frames.
        idle_share: Share of the frames in which nothing is commanded; NaN where the columns are not Bridge's.
        coverage: Share of each action column inside q01..q99.
        instructions: Different sentences.
        streams: Of a recording, by topic.
        findings: What looks wrong.
        warnings: What could not be read.
        statistics: None where a number is not finite, or there is none.
    """

    source: str
    convention: str
    fps: float
    cameras: tuple[str, ...]
    episodes: int
    frames: int
    idle_share: float
    coverage: tuple[float, ...]
    instructions: tuple[str, ...]
    streams: tuple[StreamTimes, ...]
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    statistics: DatasetStatistics | None

    @property
    def usable(self) -> bool:
        """Whether nothing found is an error."""
        return all(finding.level != "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """For a file; no statistics, which have their own."""
        idle = None if np.isnan(self.idle_share) else self.idle_share
        return {
            "source": self.source,
            "usable": self.usable,
            "actions": self.convention,
            "fps": self.fps,
            "cameras": list(self.cameras),
            "episodes": self.episodes,
            "frames": self.frames,
            "idle_share": idle,
            "coverage": dict(zip(ACTION_NAMES, self.coverage, strict=False)),
            "instructions": list(self.instructions),
            "streams": [_stream_json(stream, self.streams) for stream in self.streams],
            "findings": [asdict(finding) for finding in self.findings],
            "warnings": list(self.warnings),
        }


def examine(source: Source, idle: IdleFrames = "keep") -> Examination:
    """Read everything but the pictures, and check it.

    Args:
        source: Opened without pictures.
        idle: Which idle frames are left out of statistics; the checks see all.
    """
    trajectories = list(source.trajectories())
    streams = _streams_of(source)
    found = [finding for one in streams for finding in check_streams(one)]
    told = tuple(stream for one in streams for stream in one.values())
    if not trajectories:
        text = f"There is not a single usable frame. {' '.join(source.warnings)}".strip()
        return _examination(source, None, told, [error("frames", text), *found], None)
    try:
        gathered = gather(trajectories, source.fps, source.episodes)
    except RecordingError as problem:
        return _examination(source, None, told, [error("dimension", str(problem)), *found], None)
    found = [*findings(gathered), *found]
    return _examination(source, gathered, told, found, _statistics(gathered, trajectories, idle))


def _statistics(gathered: Gathered, trajectories: list[Trajectory], idle: IdleFrames) -> DatasetStatistics | None:
    if not (np.isfinite(gathered.actions).all() and np.isfinite(gathered.states).all()):
        return None
    if idle == "keep" or not gathered.is_bridge:
        return statistics_of(gathered)
    kept = [without_idle_frames(trajectory, idle) for trajectory in trajectories]
    if not any(len(trajectory) for trajectory in kept):
        return None
    return statistics_of(gather(kept, gathered.fps, gathered.episodes))


def _examination(
    source: Source,
    gathered: Gathered | None,
    streams: tuple[StreamTimes, ...],
    found: list[Finding],
    statistics: DatasetStatistics | None,
) -> Examination:
    sentences = [] if gathered is None else [sentence for _, _, sentence in gathered.by_episode() if sentence]
    bridge = gathered is not None and gathered.is_bridge
    return Examination(
        source=source.name,
        convention=source.convention,
        fps=source.fps,
        cameras=source.cameras,
        episodes=source.episodes,
        frames=0 if gathered is None else len(gathered.actions),
        idle_share=idle_share(gathered) if bridge and gathered is not None else float("nan"),
        coverage=() if gathered is None else tuple(float(share) for share in coverage(gathered)),
        instructions=tuple(dict.fromkeys(sentences)),
        streams=streams,
        findings=tuple(found),
        warnings=tuple(source.warnings),
        statistics=statistics,
    )


def _streams_of(source: Source) -> list[dict[str, StreamTimes]]:
    """Of each bag; a data set has none any more."""
    return list(source.stream_times()) if isinstance(source, BagSource) else []


def lost_of(stream: StreamTimes, streams: Sequence[StreamTimes]) -> int:
    """Messages of a stream that are missing while others came; `streams` holds it, too."""
    return lost_messages(stream, {other.topic: other for other in streams if other is not stream})


def _stream_json(stream: StreamTimes, streams: Sequence[StreamTimes]) -> dict[str, Any]:
    rate = stream.rate
    return {
        "topic": stream.topic,
        "messages": len(stream.stamps),
        "rate_hz": None if np.isnan(rate) else rate,
        "lost": lost_of(stream, streams),
        "backwards": stream.backwards,
        "age_s": float(np.median(stream.age)) if len(stream.stamps) else None,
    }
