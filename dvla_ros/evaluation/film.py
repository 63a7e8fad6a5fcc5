"""Draws what the cameras saw with the predicted path, and writes film and contact sheet."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import imageio_ffmpeg
import numpy as np

FILM_HZ = 15.0
BAR = 64
"""Height in pixels of the bar with text; keeps the film's height a multiple of 16, which codecs want."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SOON, _LATER = np.array([255.0, 225.0, 60.0]), np.array([255.0, 60.0, 200.0])
_OVER = (150, 150, 150)
_CLOSED = (40, 220, 255)
_WHITE, _DARK = (245, 245, 245), (24, 26, 30)
_VERDICT = {True: (90, 220, 110), False: (255, 110, 90)}
_SHEET_COLUMNS, _SHEET_WIDTH = 3, 640
_SHIFT = 4
"""Fractional bits of OpenCV's fixed-point coordinates."""
_FAR = 4000.0


@dataclass(frozen=True)
class PathView:
    """A chunk's path in one picture.

    Attributes:
        pixels: float `[H + 1, 2]`; the first is where the chunk starts; NaN: not in front of the camera.
        gripper: `[H]` opening asked for at the end of each row, 0 closed .. 1 open.
        execute_steps: Rows to be executed; the others are reserve.
        row: Row that is being executed; rows before it are over.
    """

    pixels: np.ndarray
    gripper: np.ndarray
    execute_steps: int
    row: int


@dataclass(frozen=True)
class Scene:
    """One picture of the film.

    Attributes:
        images: RGB uint8 `[H, W, 3]` by camera, all of one size.
        paths: The path in each camera's picture; a camera without one has none yet.
        instruction: What was asked.
        facts: Second line of the bar: time, denoising steps, confidence.
        verdict: Success or failure once the episode is over, else None.
    """

    images: Mapping[str, np.ndarray]
    paths: Mapping[str, PathView]
    instruction: str
    facts: str
    verdict: bool | None = None


def draw_scene(scene: Scene) -> np.ndarray:
    """The cameras side by side above a bar with text: RGB uint8 `[H + 64, W * cameras, 3]`."""
    pictures = []
    for camera, image in scene.images.items():
        picture = image.copy()
        if camera in scene.paths:
            draw_path(picture, scene.paths[camera])
        _write(picture, camera, (12, 26), 0.6, _WHITE)
        pictures.append(picture)
    row = np.hstack(pictures)
    return np.vstack([row, _bar(scene, row.shape[1])])


def draw_path(picture: np.ndarray, path: PathView) -> None:
    """Draw a path into RGB uint8 `[H, W, 3]`: rows that are over grey, then yellow to pink, reserve thin.

    A ring marks the row that closes the gripper, or the first one of a chunk that keeps it closed.
    """
    for index, (begin, end) in enumerate(zip(path.pixels[:-1], path.pixels[1:], strict=True)):
        if not np.isfinite([begin, end]).all():
            continue
        start, stop = _subpixel(begin), _subpixel(end)
        colour = _row_colour(path, index)
        thickness = 3 if index < path.execute_steps else 1
        cv2.line(picture, start, stop, colour, thickness, cv2.LINE_AA, _SHIFT)
        cv2.circle(picture, stop, 4 << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
        if path.gripper[index] < 0.5 and (index == 0 or path.gripper[index - 1] >= 0.5):
            cv2.circle(picture, stop, 8 << _SHIFT, _CLOSED, 2, cv2.LINE_AA, _SHIFT)


def _subpixel(point: np.ndarray) -> tuple[int, int]:
    """Pixel coordinates in OpenCV's fixed-point form; points far outside stay within its number range."""
    u, v = np.clip(point, -_FAR, _FAR) * (1 << _SHIFT)
    return round(float(u)), round(float(v))


def _row_colour(path: PathView, index: int) -> tuple[int, ...]:
    if index < path.row:
        return _OVER
    share = index / max(1, len(path.gripper) - 1)
    return tuple(round(float(value)) for value in (1.0 - share) * _SOON + share * _LATER)


def _bar(scene: Scene, width: int) -> np.ndarray:
    bar = np.full((BAR, width, 3), _DARK, np.uint8)
    _write(bar, scene.instruction, (12, 26), 0.7, _WHITE)
    _write(bar, scene.facts, (12, 52), 0.5, (190, 195, 205))
    if scene.verdict is not None:
        text = "SUCCESS" if scene.verdict else "FAILED"
        (length, _), _ = cv2.getTextSize(text, _FONT, 1.0, 2)
        _write(bar, text, (width - length - 16, 44), 1.0, _VERDICT[scene.verdict], 2)
    return bar


def _write(
    picture: np.ndarray, text: str, at: tuple[int, int], size: float, colour: tuple[int, ...], weight: int = 1
) -> None:
    cv2.putText(picture, text, at, _FONT, size, _DARK, weight + 2, cv2.LINE_AA)
    cv2.putText(picture, text, at, _FONT, size, colour, weight, cv2.LINE_AA)


class FilmWriter:
    """Writes an H.264 MP4; a context manager, complete once it is left.

    Args:
        path: File to write; its folder must exist.
        rate_hz: Pictures per second.
    """

    def __init__(self, path: Path, rate_hz: float = FILM_HZ) -> None:
        self._path, self._rate = path, rate_hz
        self._sink: Generator[None, np.ndarray | None, None] | None = None

    def __enter__(self) -> "FilmWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sink is not None:
            self._sink.close()

    def write(self, picture: np.ndarray) -> None:
        """Add one RGB uint8 `[H, W, 3]` picture; all of one size."""
        if self._sink is None:
            self._sink = self._open((picture.shape[1], picture.shape[0]))
        self._sink.send(np.ascontiguousarray(picture))

    def _open(self, size: tuple[int, int]) -> "Generator[None, np.ndarray | None, None]":
        sink: Generator[None, np.ndarray | None, None] = imageio_ffmpeg.write_frames(
            str(self._path), size, fps=self._rate, macro_block_size=2, ffmpeg_log_level="error"
        )
        sink.send(None)
        return sink


def contact_sheet(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """The pictures (RGB uint8, one size) in rows of three, 640 pixels wide each; a short row is filled up dark."""
    height, width = pictures[0].shape[:2]
    size = (_SHEET_WIDTH, round(height * _SHEET_WIDTH / width))
    small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]
    small += [np.full_like(small[0], _DARK)] * (-len(small) % _SHEET_COLUMNS)
    return np.vstack([np.hstack(small[i : i + _SHEET_COLUMNS]) for i in range(0, len(small), _SHEET_COLUMNS)])


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write an RGB uint8 `[H, W, 3]` picture as PNG."""
    path.write_bytes(cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes())
