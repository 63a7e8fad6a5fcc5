"""From a source to a data set on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from dvla_ros.datasets.idle import IdleFrames, without_idle_frames
from dvla_ros.datasets.lerobot_layout import Storage
from dvla_ros.datasets.lerobot_writer import LerobotWriter
from dvla_ros.datasets.split import validation_episodes
from dvla_ros.datasets.training_set import TrainingSetWriter
from dvla_ros.datasets.trajectory import Source, Trajectory
from dvla_ros.errors import ConfigurationError, RecordingError
from dvla_ros.training.shard import HORIZON

Target = Literal["training", "lerobot"]
TRAIN, VALIDATION = "train", "validation"
_FEWEST = 2


class Writer(Protocol):
    """Takes trajectories and makes files of them."""

    def add(self, trajectory: Trajectory) -> None:
        """Add one, with its pictures."""
        ...

    def close(self) -> None:
        """Finish; before that there is no data set."""
        ...


@dataclass(frozen=True)
class ConversionOptions:
    """What is written and how.

    Attributes:
        out: Folder to write; with a validation share its folders `train` and `validation`.
        to: Kind of the data set.
        instruction: Sentence of episodes that have none.
        validation: Share of the episodes for validation.
        seed: Draws them.
        idle: What happens to frames in which nothing is commanded.
        max_frames: Stop after so many frames; 0: all.
        robot_name: What a LeRobot data set calls the robot.
        images: Where a LeRobot data set keeps pictures.
        horizon: Actions of each frame's label in a training set.

    Raises:
        ConfigurationError: `max_frames` is negative, or `horizon` not positive.
    """

    out: Path
    to: Target
    instruction: str = ""
    validation: float = 0.0
    seed: int = 0
    idle: IdleFrames = "keep"
    max_frames: int = 0
    robot_name: str = "wx250s"
    images: Storage = "video"
    horizon: int = HORIZON

    def __post_init__(self) -> None:
        if self.max_frames < 0:
            raise ConfigurationError(f"max-frames must be 0 (all) or more, got {self.max_frames}.")
        if self.horizon < 1:
            raise ConfigurationError(f"horizon must be 1 or more actions, got {self.horizon}.")


@dataclass
class Conversion:
    """What became of a source.

    Attributes:
        source: Its name.
        convention: What the actions are.
        fps: Frames a second.
        cameras: In the order of the pictures.
        episodes: Trajectories written, by part (`train`, `validation`).
        frames: Frames written, by part.
        idle_frames: Frames left out because nothing was commanded.
        instructions: Different sentences.
        warnings: What was left out and why.
    """

    source: str
    convention: str
    fps: float
    cameras: tuple[str, ...]
    episodes: dict[str, int]
    frames: dict[str, int]
    idle_frames: int
    instructions: list[str]
    warnings: list[str]


def convert_source(
    source: Source, options: ConversionOptions, report: Callable[[int, int], None] = lambda episode, frames: None
) -> Conversion:
    """Write everything that a source holds.

    Args:
        source: Opened with pictures.
        options: What to write.
        report: Called after each trajectory with its episode's number and the frames written so far.

    Raises:
        RecordingError: Nothing is usable, or the target cannot hold it.
    """
    kept_back = validation_episodes(source.episodes, options.validation, options.seed)
    parts = (TRAIN, VALIDATION) if kept_back else (TRAIN,)
    writers = {part: _writer(source, options, part, divided=bool(kept_back)) for part in parts}
    done = Conversion(
        source.name,
        source.convention,
        source.fps,
        source.cameras,
        dict.fromkeys(parts, 0),
        dict.fromkeys(parts, 0),
        0,
        [],
        [],
    )
    for whole in source.trajectories():
        trajectory = _prepared(whole, options, done)
        if trajectory is None:
            continue
        part = VALIDATION if whole.episode in kept_back else TRAIN
        writers[part].add(trajectory)
        done.episodes[part] += 1
        done.frames[part] += len(trajectory)
        if trajectory.instruction not in done.instructions:
            done.instructions.append(trajectory.instruction)
        report(whole.episode, sum(done.frames.values()))
        if options.max_frames and sum(done.frames.values()) >= options.max_frames:
            break
    done.warnings[:0] = source.warnings
    empty = [part for part in parts if not done.frames[part]]
    if empty:
        raise RecordingError(
            f"Nothing of {source.name} is usable for {' and '.join(empty)}. {' '.join(done.warnings)}".strip()
        )
    for writer in writers.values():
        writer.close()
    return done


def _prepared(whole: Trajectory, options: ConversionOptions, done: Conversion) -> Trajectory | None:
    """The trajectory as it is written; None where nothing of it is."""
    sentence = whole.instruction.strip() or options.instruction.strip()
    if not sentence:
        done.warnings.append(
            f"Episode {whole.episode} ({len(whole)} frames) is left out: nobody said what was to be done; give "
            "--instruction."
        )
        return None
    trajectory = without_idle_frames(whole, options.idle)
    done.idle_frames += len(whole) - len(trajectory)
    left = options.max_frames - sum(done.frames.values()) if options.max_frames else len(trajectory)
    trajectory = trajectory.select(np.arange(min(left, len(trajectory))))
    if len(trajectory) < _FEWEST:
        done.warnings.append(f"Episode {whole.episode} is left out: {len(trajectory)} of its frames remain.")
        return None
    return Trajectory(trajectory.episode, sentence, trajectory.states, trajectory.actions, trajectory.pictures)


def _writer(source: Source, options: ConversionOptions, part: str, divided: bool) -> Writer:
    folder = options.out / part if divided else options.out
    if options.to == "training":
        return TrainingSetWriter(folder, source.cameras, source.fps, options.horizon)
    return LerobotWriter(folder, source.cameras, source.fps, options.robot_name, part, options.images)
