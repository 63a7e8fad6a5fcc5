"""What `dvla evaluate` found: plain data, from which the report, JSON and Markdown are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dvla_ros.control.chunk import ControlMode
from dvla_ros.evaluation.open_loop.bootstrap import Interval
from dvla_ros.evaluation.open_loop.open_loop_figures import OpenLoopFigures
from dvla_ros.evaluation.open_loop.sample import Sample
from dvla_ros.evaluation.open_loop.time_offset import OffsetCurve
from dvla_ros.evaluation.real_time import RealTimeFigures
from dvla_ros.evaluation.replay import ReplayFigures
from dvla_ros.recordings.episodes import RecordedEpisode


@dataclass(frozen=True)
class EpisodeFacts:
    """One episode that was evaluated.

    Attributes:
        number: Counts over all bags.
        bag: Where it is from.
        index: Counts within the bag.
        start: Seconds since 1970.
        end: Seconds since 1970.
        instruction: What the robot was asked to do.
        split_by: What told it from its neighbours.
        actions: What was recorded and how it is read, in words.
    """

    number: int
    bag: Path
    index: int
    start: float
    end: float
    instruction: str
    split_by: str
    actions: str

    @classmethod
    def of(cls, number: int, episode: RecordedEpisode, actions: str) -> "EpisodeFacts":
        """An episode under the number that it has among all."""
        return cls(
            number=number,
            bag=episode.bag,
            index=episode.index,
            start=episode.start,
            end=episode.end,
            instruction=episode.instruction,
            split_by=episode.split_by,
            actions=actions,
        )

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True)
class PathInPicture:
    """Where a chunk leads in a picture: pixels float `[H + 1, 2]` and gripper openings `[H]`."""

    pixels: np.ndarray
    gripper: np.ndarray


@dataclass(frozen=True)
class StripPicture:
    """A picture of the image strip.

    Attributes:
        episode: Number of the episode.
        camera: Name.
        seconds: Since the start of the episode.
        picture: RGB uint8 `[h, w, 3]`, small.
        paths: By variant, and `recorded`; empty where the camera's geometry is not known.
    """

    episode: int
    camera: str
    seconds: float
    picture: np.ndarray
    paths: Mapping[str, PathInPicture] = field(default_factory=dict)


@dataclass(frozen=True)
class VariantResult:
    """One checkpoint with one decoder.

    Attributes:
        name: Column of the report.
        checkpoint: Folder.
        fingerprint: Of its files.
        system: Name of the published system.
        decoder: Settings that replace the checkpoint's, in words.
        device: Where it ran.
        cameras: That it sees.
        mode: What its rows mean.
        names: Columns of its actions.
        dt: Seconds between its rows.
        horizon: Rows of a chunk, H.
        execute_steps: Rows executed before it is asked again.
        samples: Predictions beside what was recorded.
        figures: What they come to.
        mae_difference: Mean absolute error less that of the first variant, on the same questions.
        mae_difference_interval: Where that difference lies.
        replay: Recorded inferences asked again.
        unanswered: Questions without an observation, by reason.
        recorded_s: Seconds of recording that were gone through.
        wall_s: Seconds that reading, aligning and predicting took.
    """

    name: str
    checkpoint: Path
    fingerprint: str
    system: str
    decoder: str
    device: str
    cameras: tuple[str, ...]
    mode: ControlMode
    names: tuple[str, ...]
    dt: float
    horizon: int
    execute_steps: int
    samples: tuple[Sample, ...]
    figures: OpenLoopFigures
    mae_difference: float
    mae_difference_interval: Interval
    replay: ReplayFigures
    unanswered: Mapping[str, int]
    recorded_s: float
    wall_s: float


@dataclass(frozen=True)
class BagFacts:
    """A recording: path, bytes on the disk, messages by topic (of those that were counted), what is wrong with it."""

    path: Path
    bytes: int
    messages: Mapping[str, int]
    seconds: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class EvaluationResult:
    """Everything that was found.

    Attributes:
        episodes: In order.
        variants: The first one is what the others are compared with.
        bags: The recordings.
        warnings: In words, the most serious first.
        curves: Of each camera, how alike its pictures and the joints move, by offset in time.
        strip: Pictures with paths.
        metadata: How it came about: versions, machine, parameters, command line.
        real_time: What playing the bags in real time showed; empty where that was not asked for.
    """

    episodes: tuple[EpisodeFacts, ...]
    variants: tuple[VariantResult, ...]
    bags: tuple[BagFacts, ...]
    warnings: tuple[str, ...]
    curves: tuple[OffsetCurve, ...]
    strip: tuple[StripPicture, ...]
    metadata: Mapping[str, object]
    real_time: tuple[RealTimeFigures, ...] = ()
