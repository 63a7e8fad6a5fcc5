"""Trajectories into a LeRobot data set, format v3.0."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.datasets.lerobot_layout import (
    ACTION,
    EPISODES_PATH,
    FRAME_FEATURES,
    IMAGES,
    INFO,
    STATE,
    STATS,
    Feature,
    Info,
    Storage,
)
from dvla_ros.datasets.lerobot_statistics import LerobotStatistics, LevelCounts, of_numbers
from dvla_ros.datasets.lerobot_tables import FrameTables, png, write_table, write_tasks
from dvla_ros.datasets.lerobot_video import CODEC, PIXEL_FORMAT, VideoWriter
from dvla_ros.datasets.trajectory import STATE_NAMES, Trajectory
from dvla_ros.errors import RecordingError

_FILE_COLUMNS = ("chunk_index", "file_index")


class LerobotWriter:
    """Writes trajectories, each as an episode of its own; usable once it is closed.

    Args:
        folder: Where to; must not hold a data set yet.
        cameras: Names, in the order of the pictures.
        fps: Frames a second.
        robot_type: Name of the robot.
        split: What the episodes are for, the name in `splits`.
        storage: Where pictures go.

    Raises:
        RecordingError: The folder holds a data set already.
    """

    def __init__(
        self,
        folder: Path,
        cameras: tuple[str, ...],
        fps: float,
        robot_type: str = "wx250s",
        split: str = "train",
        storage: Storage = "video",
    ) -> None:
        if (folder / INFO).exists():
            raise RecordingError(f"{folder} holds a LeRobot data set already; name another folder with --out.")
        self._folder, self._fps, self._robot, self._split, self._storage = folder, fps, robot_type, split, storage
        self._keys = tuple(IMAGES + camera for camera in cameras)
        self._features: dict[str, Feature] = {}
        self._tables: FrameTables | None = None
        self._videos = {key: VideoWriter(folder, key, fps) for key in self._keys} if storage == "video" else {}
        self._sentences: list[str] = []
        self._episodes: list[dict[str, Any]] = []
        self._numbers: dict[str, list[np.ndarray]] = {}
        self._levels = {key: LevelCounts() for key in self._keys}
        self._frames = 0

    def add(self, trajectory: Trajectory) -> None:
        """Append an episode.

        Raises:
            RecordingError: The columns or the size of the pictures differ from before.
        """
        if self._tables is None:
            self._features = self._describe(trajectory)
            self._tables = FrameTables(self._folder, self._features)
        self._require_alike(trajectory)
        columns = self._columns(trajectory)
        levels = {key: LevelCounts() for key in self._keys}
        stored: dict[str, list[bytes]] = {}
        places: dict[str, int | float] = {}
        for camera, key in enumerate(self._keys):
            pictures = _counted(trajectory, camera, levels[key])
            if self._storage == "video":
                place = self._videos[key].add_episode(pictures)
                places |= {f"videos/{key}/{name}": value for name, value in place.items()}
            else:
                stored[key] = [png(picture) for picture in pictures]
        place_of_rows = self._tables.add_episode({**columns, **stored})
        places |= dict(zip((f"data/{name}" for name in _FILE_COLUMNS), place_of_rows, strict=True))
        self._note(trajectory, places, columns, levels)

    def close(self) -> None:
        """Finish all files; before that there is no data set."""
        for video in self._videos.values():
            video.close()
        if self._tables is None:
            return
        self._tables.close()
        count = len(self._episodes)
        names = {name: None for episode in self._episodes for name in episode}
        write_table(
            self._folder / EPISODES_PATH.format(chunk_index=0, file_index=0),
            {name: [episode[name] for episode in self._episodes] for name in names},
        )
        write_tasks(self._folder, self._sentences)
        statistics = {name: of_numbers(np.concatenate(rows)) for name, rows in self._numbers.items()}
        statistics |= {key: levels.statistics() for key, levels in self._levels.items()}
        blocks = {name: block.to_json() for name, block in statistics.items()}
        (self._folder / STATS).write_text(json.dumps(blocks, indent=4) + "\n", encoding="utf-8")
        splits = {self._split: f"0:{count}"}
        Info(self._fps, self._features, self._robot, count, self._frames, len(self._sentences), splits).write(
            self._folder
        )

    def _describe(self, trajectory: Trajectory) -> dict[str, Feature]:
        """The features of a data set that begins with this trajectory."""
        width, height = trajectory.pictures.size
        return {
            STATE: _numbers(trajectory.states.shape[1], STATE_NAMES),
            ACTION: _numbers(trajectory.actions.shape[1], ACTION_NAMES),
            **{key: self._picture(height, width) for key in self._keys},
            **FRAME_FEATURES,
        }

    def _picture(self, height: int, width: int) -> Feature:
        axes = ("height", "width", "channels")
        if self._storage == "parquet":
            return Feature("image", (height, width, 3), axes)
        info = {
            "video.height": height,
            "video.width": width,
            "video.codec": CODEC,
            "video.pix_fmt": PIXEL_FORMAT,
            "video.is_depth_map": False,
            "video.fps": int(self._fps) if float(self._fps).is_integer() else self._fps,
            "video.channels": 3,
            "has_audio": False,
        }
        return Feature("video", (height, width, 3), axes, info)

    def _columns(self, trajectory: Trajectory) -> dict[str, np.ndarray]:
        """The numbers of each frame."""
        count = len(trajectory)
        if trajectory.instruction not in self._sentences:
            self._sentences.append(trajectory.instruction)
        frames = np.arange(count)
        return {
            STATE: trajectory.states,
            ACTION: trajectory.actions,
            "timestamp": (frames / self._fps).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full(count, len(self._episodes)),
            "index": self._frames + frames,
            "task_index": np.full(count, self._sentences.index(trajectory.instruction)),
        }

    def _note(
        self,
        trajectory: Trajectory,
        places: dict[str, int | float],
        columns: dict[str, np.ndarray],
        levels: dict[str, LevelCounts],
    ) -> None:
        """Remember an episode's row of `meta/episodes`, and its part of all statistics."""
        statistics: dict[str, LerobotStatistics] = {name: of_numbers(rows) for name, rows in columns.items()}
        for key, counted in levels.items():
            statistics[key] = counted.statistics()
            self._levels[key].merge(counted)
        for name, rows in columns.items():
            self._numbers.setdefault(name, []).append(rows)
        count = len(trajectory)
        self._episodes.append(
            {
                "episode_index": len(self._episodes),
                "tasks": [trajectory.instruction],
                "length": count,
                **places,
                "dataset_from_index": self._frames,
                "dataset_to_index": self._frames + count,
                **{
                    f"stats/{name}/{statistic}": value
                    for name, block in statistics.items()
                    for statistic, value in block.to_json().items()
                },
                **{f"meta/episodes/{name}": 0 for name in _FILE_COLUMNS},
            }
        )
        self._frames += count

    def _require_alike(self, trajectory: Trajectory) -> None:
        for name, rows in ((STATE, trajectory.states), (ACTION, trajectory.actions)):
            if rows.shape[1:] != self._features[name].shape:
                raise RecordingError(
                    f"{name} of episode {trajectory.episode} has {rows.shape[1]} columns, others "
                    f"{self._features[name].shape[0]}; convert recordings of one kind together."
                )
        size = trajectory.pictures.size
        if any(self._features[key].shape[1::-1] != size for key in self._keys):
            raise RecordingError(
                f"Pictures of episode {trajectory.episode} are {size[0]}x{size[1]}, others another size; give "
                "--image-size."
            )


def _counted(trajectory: Trajectory, camera: int, levels: LevelCounts) -> Iterator[np.ndarray]:
    for i in range(len(trajectory)):
        picture = trajectory.pictures[i][camera]
        levels.add(picture)
        yield picture


def _numbers(columns: int, names: tuple[str, ...]) -> Feature:
    return Feature("float32", (columns,), names if len(names) == columns else None)
