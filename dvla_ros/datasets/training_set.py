"""Training sets (`training.shard`) as trajectories, read and written."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.datasets.chunks import chunks_of
from dvla_ros.datasets.pictures import Pictures, no_pictures, resized
from dvla_ros.datasets.trajectory import STATE_NAMES, Trajectory
from dvla_ros.errors import RecordingError, SimulationError
from dvla_ros.training.shard import (
    FORMAT,
    FUTURE_SIZE,
    HORIZON,
    Frame,
    Manifest,
    read_manifest,
    write_frames,
    write_manifest,
)
from dvla_ros.training.shard_checks import OpenShard

FRAMES_PER_SHARD = 2000
"""About 150 MB of pictures of two cameras at 128 x 96."""
SOURCE = "recording"
_POINTS = 2


class TrainingSetWriter:
    """Writes trajectories as shards; what a recording cannot know is NaN.

    Args:
        folder: Where to; must not hold shards yet.
        cameras: Names, in the order of the pictures.
        fps: Frames a second.
        horizon: Actions of each frame's label.

    Raises:
        RecordingError: The folder has shards already.
    """

    def __init__(self, folder: Path, cameras: tuple[str, ...], fps: float, horizon: int = HORIZON) -> None:
        if any(folder.rglob("manifest.json")):
            raise RecordingError(f"{folder} holds a training set already; name another folder with --out.")
        self._folder, self._cameras, self._dt, self._horizon = folder, cameras, 1.0 / fps, horizon
        self._instructions: list[str] = []
        self._shards: list[Path] = []
        self._frames: list[Frame] = []
        self._added = 0

    def add(self, trajectory: Trajectory) -> None:
        """Add one trajectory, with its pictures.

        Raises:
            RecordingError: Its columns are not those of Bridge's states and actions.
        """
        _require_bridge(trajectory)
        index = self._index(trajectory.instruction)
        self._frames += frames_of(trajectory, index, self._added, self._horizon)
        self._added += 1
        if len(self._frames) >= FRAMES_PER_SHARD:
            self._flush()

    def close(self) -> None:
        """Finish the shards; before that none of them counts."""
        if self._frames:
            self._flush()
        sentences = tuple(self._instructions)
        names = tuple(task_name(sentence) for sentence in sentences)
        for shard in self._shards:
            manifest = Manifest(self._cameras, sentences, names, self._dt, 0, SOURCE, horizon=self._horizon)
            write_manifest(shard, manifest)

    def _index(self, instruction: str) -> int:
        if instruction not in self._instructions:
            self._instructions.append(instruction)
        return self._instructions.index(instruction)

    def _flush(self) -> None:
        shard = self._folder / f"shard-{len(self._shards):05d}"
        write_frames(shard, self._frames)
        self._shards.append(shard)
        self._frames = []


def frames_of(trajectory: Trajectory, instruction: int, episode: int, horizon: int) -> Iterator[Frame]:
    """Training frames of a trajectory.

    The future of a frame is what the cameras really saw when its chunk was over, or at the last frame of all.

    Args:
        trajectory: With its pictures.
        instruction: The sentence's number in the manifest.
        episode: The trajectory's number in the set.
        horizon: Actions of a label.
    """
    chunks = chunks_of(trajectory.actions, horizon)
    last, cameras = len(trajectory) - 1, trajectory.pictures.cameras
    for i, chunk in enumerate(chunks):
        future = trajectory.pictures[min(i + horizon, last)]
        yield Frame(
            images=trajectory.pictures[i],
            state=trajectory.states[i],
            actions=chunk,
            instruction=instruction,
            pixels=np.full((cameras, _POINTS, 2), np.nan, np.float32),
            points=np.full((_POINTS, 3), np.nan, np.float32),
            futures=np.stack([resized(picture, FUTURE_SIZE) for picture in future]),
            episode=episode,
        )


def _require_bridge(trajectory: Trajectory) -> None:
    for name, rows, names in (
        ("states", trajectory.states, STATE_NAMES),
        ("actions", trajectory.actions, ACTION_NAMES),
    ):
        if rows.shape[1] != len(names):
            raise RecordingError(
                f"The {name} have {rows.shape[1]} columns; a training set needs Bridge's {', '.join(names)}."
            )


def task_name(sentence: str) -> str:
    """The simulated task of a sentence; "" where there is none."""
    from dvla_ros.simulation.tasks import task_for_instruction

    try:
        return task_for_instruction(sentence).name
    except SimulationError:
        return ""


class TrainingSetSource:
    """Shards below some folders as trajectories: of every frame its first action.

    Args:
        folders: Training sets with the same cameras and dt.
        cameras: Which of the cameras, in which order; all where there are none.
        size: Width and height of the pictures; None as they are.
        pictures: Whether to read them.

    Raises:
        RecordingError: There is no shard, one is damaged or of another format, shards disagree, or a camera is missing.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        cameras: tuple[str, ...] = (),
        size: tuple[int, int] | None = None,
        pictures: bool = True,
    ) -> None:
        self._shards = sorted(path.parent for folder in folders for path in folder.rglob("manifest.json"))
        if not self._shards:
            raise RecordingError(f"There is no training set below {', '.join(map(str, folders))}.")
        self._manifests = [read_manifest(shard) for shard in self._shards]
        self._require_alike()
        for shard in self._shards:
            OpenShard.of(shard)  # its files are whole
        own = self._manifests[0].cameras
        if missing := [name for name in cameras if name not in own]:
            raise RecordingError(f"{folders[0]} has the cameras {', '.join(own)}, not {', '.join(missing)}.")
        self.name = folders[0].name
        self.cameras = cameras or own
        self.fps = round(1.0 / self._manifests[0].dt, 9)
        self.convention = "first action of each chunk of the training set (Bridge increments)"
        self.warnings: list[str] = []
        self._columns = [own.index(name) for name in self.cameras]
        self._size, self._pictures = size, pictures
        self._runs = [run for shard in self._shards for run in _runs(shard)]

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self._runs)

    def trajectories(self) -> Iterator[Trajectory]:
        """All trajectories; an episode that goes on in another shard is one more."""
        loose = 0
        for number, (shard, start, end) in enumerate(self._runs):
            actions = np.load(shard / "actions.npy", mmap_mode="r")[start:end]
            loose += not _one_after_the_other(actions)
            sentence = int(np.load(shard / "instructions.npy", mmap_mode="r")[start])
            yield Trajectory(
                episode=number,
                instruction=self._manifests[self._shards.index(shard)].instructions[sentence],
                states=np.array(np.load(shard / "states.npy", mmap_mode="r")[start:end]),
                actions=np.array(actions[:, 0]),
                pictures=self._pictures_of(shard, start, end),
            )
        if loose:
            self.warnings.append(
                f"In {loose} of {self.episodes} episodes the chunks are labels of each frame for itself, not what the "
                "arm did: only the first action of each chunk is kept."
            )

    def _pictures_of(self, shard: Path, start: int, end: int) -> Pictures:
        if not self._pictures:
            return no_pictures(end - start)
        stored = np.load(shard / "images.npy", mmap_mode="r")[start:end]
        if self._columns != list(range(stored.shape[1])):
            stored = stored[:, self._columns]
        if self._size is None or stored.shape[3:1:-1] == self._size:
            return Pictures(stored)
        return Pictures(np.stack([[resized(picture, self._size) for picture in frame] for frame in stored]))

    def _require_alike(self) -> None:
        first = self._manifests[0]
        for shard, manifest in zip(self._shards, self._manifests, strict=True):
            if manifest.format != FORMAT:
                raise RecordingError(f"{shard} has format {manifest.format}, not {FORMAT}: convert it again.")
            for key in ("cameras", "dt"):
                if getattr(manifest, key) != getattr(first, key):
                    raise RecordingError(
                        f"{shard} has {key} {getattr(manifest, key)}, others {getattr(first, key)}; convert them alone."
                    )


def _runs(shard: Path) -> list[tuple[Path, int, int]]:
    """First and last-but-one row of each episode and sentence in a shard."""
    episodes, sentences = (np.load(shard / f"{name}.npy") for name in ("episodes", "instructions"))
    changes = np.flatnonzero((np.diff(episodes) != 0) | (np.diff(sentences) != 0)) + 1
    edges = [0, *changes.tolist(), len(episodes)]
    return [(shard, start, end) for start, end in pairwise(edges)]


def _one_after_the_other(actions: np.ndarray) -> bool:
    """Whether chunks `[T, H, D]` are the windows of one sequence."""
    return bool(np.array_equal(actions[:-1, 1:], actions[1:, :-1]))
