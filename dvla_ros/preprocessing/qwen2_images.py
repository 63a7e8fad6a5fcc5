"""From camera images to the patches that Qwen2-VL's tower reads: DexVLA and DiffusionVLA."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.preprocessing.crop_and_resize import center_crop_sides
from dvla_ros.preprocessing.json_file import read_json
from dvla_ros.preprocessing.normalized_channels import ChannelStatistics, normalized
from dvla_ros.preprocessing.rgb_image import RgbImage, bicubic, require_rgb, rotate_180
from dvla_ros.preprocessing.smart_resize import SmartResize

_FILE = "preprocessor_config.json"
_COPY = "Training does not write it: copy it from the base model, Qwen2-VL-2B-Instruct."
_FRAMES = 2  # a still image is shown twice: the tower's patches span two frames


@dataclass(frozen=True)
class Qwen2Patches:
    """What the tower reads.

    Attributes:
        values: float32 `[N, 3 * 2 * patch * patch]`: all patches of all images, four neighbours at a time; inside one,
            channel, frame, row, column.
        grids: int64 `[images, 3]`: frames / 2 (1), patch rows and patch columns of each image.
        merge: Patches that become one token, per side.
    """

    values: torch.Tensor
    grids: torch.Tensor
    merge: int = 2

    @property
    def tokens(self) -> list[int]:
        """`<|image_pad|>` tokens that each image takes in the prompt."""
        return [int(grid.prod()) // self.merge**2 for grid in self.grids]


@dataclass(frozen=True)
class Qwen2Images:
    """The whole chain: rotation, crop of the middle, smart resize (bicubic), normalisation, patches.

    Attributes:
        smart_resize: The choice of size.
        statistics: Mean and spread.
        patch: Pixels of a patch, per side.
        merge: Patches that become one token, per side.
        crop_ratio: Share of each side that DexVLA keeps at test time; 1 for no crop.
        rotate_180: Turn every image upside down and left to right first.

    Raises:
        ConfigurationError: `crop_ratio` is not in (0, 1], or the resize's factor is not patch * merge.
    """

    smart_resize: SmartResize
    statistics: ChannelStatistics
    patch: int = 14
    merge: int = 2
    crop_ratio: float = 0.95
    rotate_180: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.crop_ratio <= 1:
            raise ConfigurationError(f"crop_ratio must be more than 0 and 1 at most, got {self.crop_ratio}.")
        if self.smart_resize.factor != self.patch * self.merge:
            raise ConfigurationError(
                f"The resize's factor must be patch * merge, {self.patch * self.merge}, got {self.smart_resize.factor}."
            )

    @classmethod
    def open(cls, folder: Path, *, crop_ratio: float = 0.95, rotate_180: bool = False) -> "Qwen2Images":
        """Read `preprocessor_config.json` of a checkpoint directory.

        Raises:
            CheckpointError: The file is missing or incomplete, or asks for a step that is not implemented.
            ConfigurationError: `crop_ratio` is not in (0, 1].
        """
        values = read_json(folder, _FILE, _COPY)
        try:
            patch, merge = int(values["patch_size"]), int(values["merge_size"])
            low, high = _pixel_bounds(values)
            rule = SmartResize.qwen2(low, high, patch * merge)
            statistics = ChannelStatistics(tuple(values["image_mean"]), tuple(values["image_std"]))
        except (ConfigurationError, KeyError, TypeError) as error:
            raise CheckpointError(f"{folder / _FILE} is incomplete or wrong: {error}. {_COPY}") from error
        if values.get("temporal_patch_size", _FRAMES) != _FRAMES:
            raise CheckpointError(
                f"{folder / _FILE} has temporal_patch_size {values['temporal_patch_size']}; it must be {_FRAMES}."
            )
        return cls(rule, statistics, patch, merge, crop_ratio, rotate_180)

    def __call__(self, images: Sequence[RgbImage]) -> Qwen2Patches:
        """All cameras of one observation, in the order of the prompt.

        Args:
            images: uint8 `[H, W, 3]` each.

        Raises:
            ObservationError: There is no image, one is not uint8 `[H, W, 3]`, or one is too narrow.
        """
        if not images:
            raise ObservationError("There is no image to look at: give one for each camera.")
        pixels = [self.pixels(require_rgb(image, f"Image {index}")) for index, image in enumerate(images)]
        grids = [[1, image.shape[0] // self.patch, image.shape[1] // self.patch] for image in pixels]
        patches = torch.cat([self._patches(normalized(image, self.statistics)) for image in pixels])
        return Qwen2Patches(patches, torch.tensor(grids, dtype=torch.int64), self.merge)

    def pixels(self, image: RgbImage) -> RgbImage:
        """The image before normalisation: uint8 `[h, w, 3]`, both sides multiples of patch * merge."""
        if self.rotate_180:
            image = rotate_180(image)
        if self.crop_ratio < 1:
            image = center_crop_sides(image, self.crop_ratio)
        return bicubic(image, *self.smart_resize(*image.shape[:2]))

    def _patches(self, values: torch.Tensor) -> torch.Tensor:
        """float32 `[3, h, w]` to `[h * w / patch^2, 3 * 2 * patch^2]`, the patches of a token one after the other."""
        channels, height, width = values.shape
        block = self.patch * self.merge
        cut = values.reshape(channels, height // block, self.merge, self.patch, width // block, self.merge, self.patch)
        patches = cut.permute(1, 4, 2, 5, 0, 3, 6).unsqueeze(5).expand(-1, -1, -1, -1, -1, _FRAMES, -1, -1)
        return patches.reshape(height * width // self.patch**2, channels * _FRAMES * self.patch**2)


def _pixel_bounds(values: dict[str, Any]) -> tuple[int, int]:
    """min_pixels and max_pixels; files that newer releases write have them as the two edges of `size`."""
    if "min_pixels" in values or "max_pixels" in values:
        return int(values["min_pixels"]), int(values["max_pixels"])
    size = values["size"]
    return int(size["shortest_edge"]), int(size["longest_edge"])
