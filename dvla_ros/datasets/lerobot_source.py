"""A LeRobot data set, format v3.0, as trajectories."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.datasets.lerobot_layout import ACTION, IMAGES, STATE, Info
from dvla_ros.datasets.lerobot_tables import picture_from_bytes, read_rows, read_table, read_tasks
from dvla_ros.datasets.lerobot_video import VideoReader
from dvla_ros.datasets.pictures import Pictures, PictureSpool, no_pictures, resized
from dvla_ros.datasets.trajectory import STATE_NAMES, Trajectory
from dvla_ros.errors import RecordingError


@dataclass(frozen=True)
class _Columns:
    """What the frames of an episode hold."""

    states: np.ndarray
    actions: np.ndarray
    sentences: list[int]
    stored: dict[str, list[bytes]]


class LerobotSource:
    """The episodes of a data set.

    Args:
        folder: Of the data set, the one with `meta`.
        cameras: Which cameras, in which order; all where there are none.
        size: Width and height of the pictures; None as they are.
        pictures: Whether to read them.

    Raises:
        RecordingError: The data set is incomplete or of another version, or lacks states, actions or a camera.
        DependencyError: `pyarrow` is not installed.
    """

    def __init__(
        self,
        folder: Path,
        cameras: tuple[str, ...] = (),
        size: tuple[int, int] | None = None,
        pictures: bool = True,
    ) -> None:
        self._folder, self._size, self._pictures = folder, size, pictures
        self._info = Info.read(folder)
        self._require_columns()
        there = {name.removeprefix(IMAGES).replace("observation.", ""): name for name in self._info.pictures}
        if missing := [name for name in cameras if name not in there]:
            raise RecordingError(f"{folder} has the cameras {', '.join(there) or '–'}, not {', '.join(missing)}.")
        self.name = folder.resolve().name
        self.cameras = cameras or tuple(there)
        self._keys = tuple(there[name] for name in self.cameras)
        self.fps = self._info.fps
        self.convention = f"column {ACTION} of the LeRobot data set"
        self.warnings = self._doubts()
        self._sentences = read_tasks(folder)
        self._rows = self._episode_rows()
        self._videos: dict[str, tuple[Path, VideoReader]] = {}

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self._rows)

    def trajectories(self) -> Iterator[Trajectory]:
        """All trajectories; an episode with several sentences gives one for each."""
        try:
            for row in self._rows:
                columns = self._read(row)
                whole = Trajectory(
                    int(row["episode_index"]), "", columns.states, columns.actions, self._pictures_of(row, columns)
                )
                yield from self._by_sentence(whole, np.array(columns.sentences))
        finally:
            for _, reader in self._videos.values():
                reader.close()

    def _by_sentence(self, whole: Trajectory, sentences: np.ndarray) -> Iterator[Trajectory]:
        edges = [0, *(np.flatnonzero(np.diff(sentences)) + 1).tolist(), len(sentences)]
        for start, end in pairwise(edges):
            part = whole.select(np.arange(start, end))
            sentence = self._sentences.get(int(sentences[start]), "")
            yield Trajectory(part.episode, sentence, part.states, part.actions, part.pictures)

    def _read(self, row: Mapping[str, Any]) -> _Columns:
        path = self._folder / self._info.data_path.format(
            chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
        )
        start = int(row["dataset_from_index"]) - self._first_row(row)
        stored = [key for key in self._keys if self._pictures and key not in self._info.videos]
        rows = list(read_rows(path, start, start + int(row["length"]), [STATE, ACTION, "task_index", *stored]))
        return _Columns(
            states=_matrix([r[STATE] for r in rows]),
            actions=_matrix([r[ACTION] for r in rows]),
            sentences=[int(r["task_index"]) for r in rows],
            stored={key: [_bytes(r[key], path) for r in rows] for key in stored},
        )

    def _first_row(self, row: Mapping[str, Any]) -> int:
        """Index in the data set of the first row of the episode's file."""
        place = ("data/chunk_index", "data/file_index")
        return min(int(r["dataset_from_index"]) for r in self._rows if all(r[name] == row[name] for name in place))

    def _pictures_of(self, row: Mapping[str, Any], columns: _Columns) -> Pictures:
        count = len(columns.states)
        if not self._pictures:
            return no_pictures(count)
        spool = PictureSpool()
        for i in range(count):
            spool.append(np.stack([resized(self._picture(key, row, columns, i), self._size) for key in self._keys]))
        return spool.finish()

    def _picture(self, key: str, row: Mapping[str, Any], columns: _Columns, index: int) -> np.ndarray:
        if key in columns.stored:
            return picture_from_bytes(columns.stored[key][index], f"{self._folder}, {key}")
        assert self._info.video_path is not None
        path = self._folder / self._info.video_path.format(
            video_key=key, chunk_index=row[f"videos/{key}/chunk_index"], file_index=row[f"videos/{key}/file_index"]
        )
        first = round(float(row[f"videos/{key}/from_timestamp"]) * self._info.fps)
        return self._video(key, path).read(first + index)

    def _video(self, key: str, path: Path) -> VideoReader:
        there = self._videos.get(key)
        if there is None or there[0] != path:
            if there is not None:
                there[1].close()
            self._videos[key] = (path, VideoReader(path))
        return self._videos[key][1]

    def _episode_rows(self) -> list[dict[str, Any]]:
        paths = sorted((self._folder / "meta/episodes").glob("*/*.parquet"))
        if not paths:
            raise RecordingError(f"{self._folder} has no table below meta/episodes; copy the complete data set.")
        names = ["episode_index", "length", "data/chunk_index", "data/file_index", "dataset_from_index"]
        for key in self._keys if self._pictures else ():
            if key in self._info.videos:
                names += [f"videos/{key}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")]
        rows = []
        for path in paths:
            table = read_table(path, names)
            rows += [dict(zip(names, values, strict=True)) for values in zip(*table.values(), strict=True)]
        return sorted(rows, key=lambda row: int(row["episode_index"]))

    def _require_columns(self) -> None:
        for name in (STATE, ACTION):
            if name not in self._info.features:
                raise RecordingError(f"{self._folder} has no {name}; it has {', '.join(self._info.features)}.")

    def _doubts(self) -> list[str]:
        """What the names of the columns say against Bridge's states and actions."""
        doubts = []
        for name, known in ((STATE, STATE_NAMES), (ACTION, ACTION_NAMES)):
            names = self._info.features[name].names
            if names is not None and names != known and len(names) == len(known):
                doubts.append(
                    f"The columns of {name} are called {', '.join(names)}; they are taken for {', '.join(known)}."
                )
        return doubts


def _matrix(rows: list[Any]) -> np.ndarray:
    return np.asarray(rows, np.float32).reshape(len(rows), -1)


def _bytes(cell: Any, path: Path) -> bytes:
    data = cell.get("bytes") if isinstance(cell, dict) else None
    if not data:
        raise RecordingError(f"{path} names pictures that lie elsewhere; only pictures in the table are read.")
    return bytes(data)
