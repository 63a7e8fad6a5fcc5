"""Videos of a LeRobot data set: many episodes one after the other in a file, each camera its own files."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dvla_ros.datasets.lerobot_layout import VIDEO_FILE_MB, VIDEO_PATH, file_indices
from dvla_ros.errors import RecordingError

CODEC, PIXEL_FORMAT = "h264", "yuv420p"
_ACCURATE = "bicubic+accurate_rnd+full_chroma_int"
"""Without these flags every colour comes out one or two levels darker."""
_ENCODING = ["-crf", "18", "-preset", "fast", "-g", "2", "-bf", "0", "-sws_flags", _ACCURATE]
"""Every second frame stands for itself, so that a loader can jump; quality at which few see a difference."""

_DECODING = ["-fps_mode", "passthrough", "-sws_flags", _ACCURATE]


class VideoWriter:
    """The pictures of one camera, file after file.

    Args:
        folder: Of the data set.
        key: Name of the feature.
        fps: Frames a second.
    """

    def __init__(self, folder: Path, key: str, fps: float) -> None:
        self._folder, self._key, self._fps = folder, key, fps
        self._files = 0
        self._frames = 0
        self._size = (0, 0)
        self._sink: Generator[None, np.ndarray | None, None] | None = None

    def add_episode(self, pictures: Iterator[np.ndarray]) -> dict[str, int | float]:
        """Append an episode's RGB uint8 `[h, w, 3]` pictures; returns where they stand, see `meta/episodes`.

        Raises:
            RecordingError: The size is odd or another than before: the pixel format halves it.
        """
        if self._sink is not None and self._path.stat().st_size >= VIDEO_FILE_MB * 2**20:
            self.close()
        start = self._frames
        for picture in pictures:
            self._write(picture)
        chunk, file = file_indices(self._files)
        return {
            "chunk_index": chunk,
            "file_index": file,
            "from_timestamp": start / self._fps,
            "to_timestamp": self._frames / self._fps,
        }

    def close(self) -> None:
        """Finish the file that is open."""
        if self._sink is not None:
            self._sink.close()
            self._sink, self._frames, self._files = None, 0, self._files + 1

    @property
    def _path(self) -> Path:
        chunk, file = file_indices(self._files)
        return self._folder / VIDEO_PATH.format(video_key=self._key, chunk_index=chunk, file_index=file)

    def _write(self, picture: np.ndarray) -> None:
        if self._sink is None:
            self._sink = self._open(picture)
        if picture.shape[1::-1] != self._size:
            raise RecordingError(
                f"Pictures of {self._key} change from {self._size} to {picture.shape[1::-1]}; give --image-size."
            )
        self._sink.send(np.ascontiguousarray(picture))
        self._frames += 1

    def _open(self, picture: np.ndarray) -> "Generator[None, np.ndarray | None, None]":
        import imageio_ffmpeg

        height, width = picture.shape[:2]
        if height % 2 or width % 2:
            raise RecordingError(
                f"A video needs an even size, {self._key} has {width}x{height}: give --image-size, or --images parquet."
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._size = (width, height)
        sink: Generator[None, np.ndarray | None, None] = imageio_ffmpeg.write_frames(
            str(self._path),
            self._size,
            fps=self._fps,
            codec="libx264",
            quality=None,
            macro_block_size=2,
            ffmpeg_log_level="error",
            output_params=_ENCODING,
        )
        sink.send(None)
        return sink


class VideoReader:
    """The pictures of a video one after the other, any codec that ffmpeg knows.

    Args:
        path: The file.

    Raises:
        RecordingError: There is no file, or ffmpeg cannot read it.
    """

    def __init__(self, path: Path) -> None:
        import imageio_ffmpeg

        if not path.is_file():
            raise RecordingError(f"The video {path} is missing; copy the complete data set.")
        self._path = path
        self._frames: Iterator[Any] = imageio_ffmpeg.read_frames(path, output_params=_DECODING)
        try:
            self._width, self._height = next(self._frames)["size"]
        except (OSError, KeyError, StopIteration, RuntimeError) as error:
            raise RecordingError(f"The video {path} cannot be read: {error}.") from None
        self._position = 0

    def read(self, index: int) -> np.ndarray:
        """Frame `index` as RGB uint8 `[h, w, 3]`; never one before those that were read.

        Raises:
            RecordingError: The video is shorter, broken, or was read beyond that frame.
        """
        if index < self._position:
            raise RecordingError(f"{self._path}: episodes are not in the order of their pictures.")
        try:
            while True:
                data = next(self._frames)
                self._position += 1
                if self._position > index:
                    break
        except (StopIteration, RuntimeError):
            raise RecordingError(
                f"{self._path} ends after {self._position} frames, frame {index} is needed; copy the data set again."
            ) from None
        return np.frombuffer(data, np.uint8).reshape(self._height, self._width, 3)

    def close(self) -> None:
        """End the decoder."""
        self._frames.close()  # type: ignore[attr-defined]
