"""Where things stand in a LeRobot data set, format v3.0, and what `meta/info.json` says of it.

Source: `LeRobotDataset` v3.0 of `huggingface/lerobot` and its documentation. Many episodes share a file; the tables
below `meta/episodes` say which rows and which stretch of which video are of which episode.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dvla_ros.errors import RecordingError

VERSION = "v3.0"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES_PATH = f"meta/episodes/{_FILE}.parquet"
DATA_PATH = f"data/{_FILE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{_FILE}.mp4"
FILES_PER_CHUNK = 1000
DATA_FILE_MB, VIDEO_FILE_MB = 100, 200
"""Sizes at which the next file is begun."""
STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."

Storage = Literal["video", "parquet"]
"""Pictures as H.264 video (lossy, small) or as PNG in the tables (exact, large)."""


@dataclass(frozen=True)
class Feature:
    """A column, or the pictures of a camera.

    Attributes:
        dtype: NumPy's name of a number type, `image` or `video`.
        shape: Of one frame; height, width, channels of a picture.
        names: Of the columns, or of the picture's axes; None where they have none.
        info: Facts about a video.
    """

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] | None = None
    info: Mapping[str, Any] | None = None

    @property
    def is_picture(self) -> bool:
        """Whether it is a camera's."""
        return self.dtype in ("image", "video")

    def to_json(self) -> dict[str, Any]:
        """As it stands in `info.json`."""
        names = None if self.names is None else list(self.names)
        block: dict[str, Any] = {"dtype": self.dtype, "shape": list(self.shape), "names": names}
        return block if self.info is None else block | {"info": dict(self.info)}

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> "Feature":
        """Read a block; names may be a list, or lists under keys such as `motors`."""
        names = block.get("names")
        if isinstance(names, Mapping):
            names = [name for part in names.values() for name in (part if isinstance(part, list) else [part])]
        return cls(
            str(block["dtype"]),
            tuple(int(size) for size in block["shape"]),
            None if names is None else tuple(str(name) for name in names),
            block.get("info"),
        )


FRAME_FEATURES = {
    "timestamp": Feature("float32", (1,)),
    "frame_index": Feature("int64", (1,)),
    "episode_index": Feature("int64", (1,)),
    "index": Feature("int64", (1,)),
    "task_index": Feature("int64", (1,)),
}
"""Columns that every data set has."""


@dataclass(frozen=True)
class Info:
    """`meta/info.json`.

    Attributes:
        fps: Frames a second.
        features: By name.
        robot_type: Name of the robot.
        total_episodes: Number of episodes.
        total_frames: Number of frames.
        total_tasks: Number of different sentences.
        splits: Ranges of episodes, such as `{"train": "0:8"}`.
        data_path: Pattern of the tables.
        video_path: Pattern of the videos.
    """

    fps: float
    features: Mapping[str, Feature]
    robot_type: str = ""
    total_episodes: int = 0
    total_frames: int = 0
    total_tasks: int = 0
    splits: Mapping[str, str] = field(default_factory=dict)
    data_path: str = DATA_PATH
    video_path: str | None = VIDEO_PATH

    @property
    def pictures(self) -> tuple[str, ...]:
        """Names of the features that are pictures."""
        return tuple(name for name, feature in self.features.items() if feature.is_picture)

    @property
    def videos(self) -> tuple[str, ...]:
        """Names of the features that are videos."""
        return tuple(name for name, feature in self.features.items() if feature.dtype == "video")

    def write(self, folder: Path) -> None:
        """Write the file."""
        values = {
            "codebase_version": VERSION,
            "robot_type": self.robot_type,
            "total_episodes": self.total_episodes,
            "total_frames": self.total_frames,
            "total_tasks": self.total_tasks,
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": int(self.fps) if float(self.fps).is_integer() else self.fps,
            "splits": dict(self.splits),
            "data_path": self.data_path,
            "video_path": self.video_path if self.videos else None,
            "features": {name: feature.to_json() for name, feature in self.features.items()},
        }
        (folder / INFO).parent.mkdir(parents=True, exist_ok=True)
        (folder / INFO).write_text(json.dumps(values, indent=4) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Info":
        """Read the file.

        Raises:
            RecordingError: It is missing or broken, or of another version of the format.
        """
        path = folder / INFO
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            version = str(values["codebase_version"])
            _require_version(version, folder)
            return cls(
                fps=float(values["fps"]),
                features={name: Feature.from_json(block) for name, block in values["features"].items()},
                robot_type=str(values.get("robot_type") or ""),
                total_episodes=int(values["total_episodes"]),
                total_frames=int(values["total_frames"]),
                total_tasks=int(values.get("total_tasks", 0)),
                splits=values.get("splits") or {},
                data_path=values.get("data_path") or DATA_PATH,
                video_path=values.get("video_path") or VIDEO_PATH,
            )
        except OSError as error:
            raise RecordingError(f"{folder} is no LeRobot data set: {error}.") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordingError(f"{path} is broken: {error!r}. Copy the data set again.") from None


def file_indices(count: int) -> tuple[int, int]:
    """Chunk and file number of the file that `count` others came before."""
    return divmod(count, FILES_PER_CHUNK)


def _require_version(version: str, folder: Path) -> None:
    if not version.startswith("v3."):
        raise RecordingError(
            f"{folder} is a LeRobot data set of format {version}, needed is {VERSION}. LeRobot brings a script that "
            "converts it: lerobot.datasets.v30.convert_dataset_v21_to_v30."
        )
