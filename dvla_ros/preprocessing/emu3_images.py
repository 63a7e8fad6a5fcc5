"""From camera images to what Emu3's image tokenizer reads, and back: UniVLA, UD-VLA and DFM-VLA."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.preprocessing.json_file import read_json
from dvla_ros.preprocessing.normalized_channels import HALVES, ChannelStatistics, normalized
from dvla_ros.preprocessing.rgb_image import RgbImage, bicubic, require_rgb, rotate_180
from dvla_ros.preprocessing.smart_resize import SmartResize

_FILE = "preprocessor_config.json"
_COPY = "Copy it from BAAI/Emu3-VisionTokenizer."
_MIN_PIXELS = 80 * 80  # what the released UD-VLA and UniVLA scripts put in place of the file's 512 * 512
_MAX_PIXELS = 1024 * 1024
_RULE = SmartResize.emu3(_MIN_PIXELS, _MAX_PIXELS)
_BICUBIC = 3  # Pillow's number for it


@dataclass(frozen=True)
class Emu3Images:
    """One camera's chain: rotation, resize to the camera's size, smart resize, values in -1..1.

    Attributes:
        camera_size: Height and width that the camera is resized to first ((200, 200) static, (80, 80) wrist); None
            where its own size is meant (CALVIN's static camera).
        rotate_180: Turn the image upside down and left to right first (LIBERO's renders).
        smart_resize: The tokenizer's own choice of size.
        statistics: Mean and spread.

    Raises:
        ConfigurationError: `camera_size` is not positive.
    """

    camera_size: tuple[int, int] | None = None
    rotate_180: bool = False
    smart_resize: SmartResize = _RULE
    statistics: ChannelStatistics = HALVES

    def __post_init__(self) -> None:
        if self.camera_size is not None and min(self.camera_size) < 1:
            raise ConfigurationError(f"camera_size must be positive, got {self.camera_size}.")

    @classmethod
    def open(
        cls,
        folder: Path,
        camera_size: tuple[int, int] | None = None,
        *,
        rotate_180: bool = False,
        min_pixels: int = _MIN_PIXELS,
    ) -> "Emu3Images":
        """Read `preprocessor_config.json` of the image tokenizer's directory.

        Args:
            folder: The directory.
            camera_size: As above.
            rotate_180: As above.
            min_pixels: Overrides the file's, as the released scripts do: it would enlarge a wrist camera of 80x80.

        Raises:
            CheckpointError: The file is missing, or asks for a step that is not implemented.
        """
        values = read_json(folder, _FILE, _COPY)
        if values.get("resample", _BICUBIC) != _BICUBIC:
            raise CheckpointError(
                f"{folder / _FILE} asks for resample {values['resample']}; it must be {_BICUBIC}, bicubic. {_COPY}"
            )
        try:
            rule = SmartResize.emu3(min_pixels, values.get("max_pixels", _MAX_PIXELS), values.get("spatial_factor", 8))
            statistics = ChannelStatistics(
                tuple(values.get("image_mean", (0.5, 0.5, 0.5))), tuple(values.get("image_std", (0.5, 0.5, 0.5)))
            )
        except (ConfigurationError, TypeError) as error:
            raise CheckpointError(f"{folder / _FILE}: {error}") from error
        return cls(camera_size, rotate_180, rule, statistics)

    def __call__(self, image: RgbImage) -> torch.Tensor:
        """One camera image for the tokenizer's encoder.

        Args:
            image: uint8 `[H, W, 3]`.

        Returns:
            float32 `[3, h, w]` in -1..1; the tokenizer makes h / 8 times w / 8 codes of it.

        Raises:
            ObservationError: The image is not uint8 `[H, W, 3]`, too narrow or too small.
        """
        return normalized(self.pixels(image), self.statistics)

    def pixels(self, image: RgbImage) -> RgbImage:
        """The image before normalisation: uint8 `[h, w, 3]`."""
        image = require_rgb(image)
        if self.rotate_180:
            image = rotate_180(image)
        if self.camera_size is not None:
            image = bicubic(image, *self.camera_size)
        return bicubic(image, *self.smart_resize(*image.shape[:2]))

    def to_image(self, values: torch.Tensor) -> RgbImage:
        """What the tokenizer's decoder made, as an image.

        Args:
            values: float `[3, h, w]`.

        Returns:
            uint8 `[h, w, 3]`: values * std + mean, times 255, clipped, the fraction cut off.

        Raises:
            ObservationError: The shape is another one.
        """
        if values.ndim != 3 or values.shape[0] != 3:
            raise ObservationError(f"A decoded image must be [3, h, w], got {list(values.shape)}.")
        pixels = values.detach().float().cpu().numpy().transpose(1, 2, 0)
        mean, std = (np.asarray(part, dtype=np.float32) for part in (self.statistics.mean, self.statistics.std))
        return np.ascontiguousarray(((pixels * std + mean) * np.float32(255)).clip(0, 255).astype(np.uint8))
