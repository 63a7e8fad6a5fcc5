"""The images of demonstrations as the tokenizer sees them: what is seen now and what will be seen, one camera each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dvla_ros.errors import ConfigurationError
from dvla_ros.training.frame_column import FrameColumn
from dvla_ros.training.shard_checks import OpenShard


@dataclass(frozen=True)
class ImageKey:
    """One stored image: its frame, its camera, and whether it is the frame's future."""

    frame: int
    camera: int
    future: bool


class VqImages:
    """Images of finished shards on the disk, averaged down to one size when read."""

    def __init__(self, folders: Sequence[Path], width: int, height: int) -> None:
        """Open every finished shard below the folders.

        Raises:
            ConfigurationError: No shard is there, they differ in cameras, or images are no whole multiple of the size.
            RecordingError: A shard is damaged.
        """
        shards = sorted(path.parent for folder in folders for path in Path(folder).rglob("manifest.json"))
        if not shards:
            raise ConfigurationError(
                f"No demonstrations below {', '.join(map(str, folders))}; make some with `dvla collect`."
            )
        opened = [OpenShard.of(shard) for shard in shards]
        cameras = {shard.manifest.cameras for shard in opened}
        if len(cameras) > 1:
            raise ConfigurationError(f"All demonstrations must have the same cameras, got {sorted(cameras)}.")
        self.cameras: tuple[str, ...] = cameras.pop()
        self.episodes = FrameColumn([shard.files["episodes"] for shard in opened])[:]
        self._size = (width, height)
        self._current = [FrameColumn([shard.files["images"]]) for shard in opened]
        self._future = [FrameColumn([shard.files["futures"]]) for shard in opened]
        for images in [*self._current, *self._future]:
            _require_multiple(images, width, height)
        self._ends = np.cumsum([len(images) for images in self._current])

    def read(self, keys: Sequence[ImageKey]) -> np.ndarray:
        """Images uint8 `[B, 3, h, w]`."""
        return np.stack([self._image(key) for key in keys]).transpose(0, 3, 1, 2)

    def held_out(self, every: int) -> np.ndarray:
        """Whether each frame is of an episode whose number is a multiple of `every`, bool `[frames]`."""
        mask: np.ndarray = self.episodes % every == 0
        return mask

    def _image(self, key: ImageKey) -> np.ndarray:
        shard = int(np.searchsorted(self._ends, key.frame, side="right"))
        images = (self._future if key.future else self._current)[shard]
        image = images[int(key.frame - self._ends[shard]), key.camera]
        if image.shape[1::-1] == self._size:
            return image
        return cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)


def _require_multiple(images: FrameColumn, width: int, height: int) -> None:
    _, _, stored_height, stored_width, _ = images.shape
    factor = stored_width // width
    if factor < 1 or (stored_width, stored_height) != (factor * width, factor * height):
        raise ConfigurationError(
            f"The tokenizer is for images of {width}x{height}; the demonstrations hold {stored_width}x{stored_height}, "
            "which must be a whole multiple of it, the same both ways."
        )


def draw_keys(frames: np.ndarray, cameras: int, count: int, rng: np.random.Generator) -> list[ImageKey]:
    """Random images of some frames, any camera, now or later, with replacement."""
    return [
        ImageKey(int(frame), int(camera), bool(future))
        for frame, camera, future in zip(
            rng.choice(frames, count), rng.integers(cameras, size=count), rng.integers(2, size=count), strict=True
        )
    ]
