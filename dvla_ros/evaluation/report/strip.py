"""Pictures of the strip with paths drawn in, as JPEG that stands in a page."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dvla_ros.evaluation.evaluation_result import PathInPicture, StripPicture
from dvla_ros.evaluation.picture_strip import RECORDED
from dvla_ros.evaluation.report.drawing import colour

_QUALITY = 85
_SHIFT = 4
_FAR = 4000.0
_WHITE, _DARK = (245, 245, 245), (20, 20, 20)
_SHOWN_WIDTH = 320


@dataclass(frozen=True)
class ShownPicture:
    """A picture of the page: its address, which holds the picture itself, and words."""

    address: str
    words: str


@dataclass(frozen=True)
class ShownStrip:
    """The pictures of one camera in one episode, in order of time."""

    episode: int
    camera: str
    pictures: tuple[ShownPicture, ...]


def strips(pictures: Sequence[StripPicture], variants: Sequence[str]) -> list[ShownStrip]:
    """The strips of all episodes and cameras."""
    keys = dict.fromkeys((picture.episode, picture.camera) for picture in pictures)
    return [
        ShownStrip(episode, camera, tuple(_shown(p, variants) for p in pictures if (p.episode, p.camera) == key))
        for key in keys
        for episode, camera in [key]
    ]


def _shown(picture: StripPicture, variants: Sequence[str]) -> ShownPicture:
    image = _drawn(picture, variants)
    ok, file = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert ok, "OpenCV encodes every RGB picture"
    return ShownPicture(
        f"data:image/jpeg;base64,{base64.b64encode(file.tobytes()).decode()}", f"{picture.seconds:.1f} s"
    )


def _drawn(picture: StripPicture, variants: Sequence[str]) -> np.ndarray:
    """RGB uint8: paths in the colours of the plots, what was recorded in white, dots where the gripper closes."""
    factor = _SHOWN_WIDTH / picture.picture.shape[1]
    image = cv2.resize(picture.picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    for name, path in _in_order(picture.paths, variants):
        shade = _WHITE if name == RECORDED else _rgb(colour(variants.index(name)))
        _draw(image, path, factor, shade, 3 if name == RECORDED else 2)
    return image


def _in_order(paths: Mapping[str, PathInPicture], variants: Sequence[str]) -> list[tuple[str, PathInPicture]]:
    """What was recorded lies below."""
    return [(name, paths[name]) for name in (RECORDED, *variants) if name in paths]


def _draw(image: np.ndarray, path: PathInPicture, factor: float, shade: tuple[int, ...], thickness: int) -> None:
    for index, (begin, end) in enumerate(zip(path.pixels[:-1], path.pixels[1:], strict=True)):
        if not np.isfinite([begin, end]).all():
            continue
        start, stop = _fixed(factor * begin), _fixed(factor * end)
        cv2.line(image, start, stop, _DARK, thickness + 2, cv2.LINE_AA, _SHIFT)
        cv2.line(image, start, stop, shade, thickness, cv2.LINE_AA, _SHIFT)
        before = path.gripper[index - 1] if index else 1.0
        if path.gripper[index] < 0.5 <= before:
            cv2.circle(image, stop, 6 << _SHIFT, shade, 2, cv2.LINE_AA, _SHIFT)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    u, v = np.clip(point, -_FAR, _FAR) * (1 << _SHIFT)
    return round(float(u)), round(float(v))


def _rgb(text: str) -> tuple[int, ...]:
    return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))
