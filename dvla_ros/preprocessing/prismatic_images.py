"""From camera images to what OpenVLA-OFT's and Discrete Diffusion VLA's vision towers were trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch

from dvla_ros.errors import CheckpointError, ConfigurationError, ObservationError
from dvla_ros.preprocessing.crop_and_resize import center_crop_area
from dvla_ros.preprocessing.jpeg import JpegDecoder, jpeg_round_trip
from dvla_ros.preprocessing.json_file import read_json
from dvla_ros.preprocessing.lanczos import lanczos3_resize
from dvla_ros.preprocessing.normalized_channels import ChannelStatistics, normalized
from dvla_ros.preprocessing.rgb_image import RgbImage, require_rgb, rotate_180

_FILE = "preprocessor_config.json"
_STRATEGY = "resize-naive"
_COPY = "Copy it from the base model (openvla-7b or the published fine-tune); it has input_sizes, means and stds."


@dataclass(frozen=True)
class PrismaticSettings:
    """What was done to images in training and is not written in the checkpoint.

    Attributes:
        rotate_180: Turn every image upside down and left to right first (LIBERO's renders).
        jpeg: Whose JPEG round trip; None for none.
        center_crop: Keep the middle 0.9 of the area, for policies trained with random crops (image_aug).
        crop_area: That 0.9.

    Raises:
        ConfigurationError: There is no such decoder, or `crop_area` is not in (0, 1].
    """

    rotate_180: bool = False
    jpeg: JpegDecoder | None = "tensorflow"
    center_crop: bool = True
    crop_area: float = 0.9

    def __post_init__(self) -> None:
        if self.jpeg is not None and self.jpeg not in get_args(JpegDecoder):
            raise ConfigurationError(f"Unknown jpeg '{self.jpeg}'; choose one of {get_args(JpegDecoder)} or none.")
        if not 0 < self.crop_area <= 1:
            raise ConfigurationError(f"crop_area must be more than 0 and 1 at most, got {self.crop_area}.")


@dataclass(frozen=True)
class PrismaticImages:
    """The whole chain: rotation, JPEG, Lanczos-3, centre crop, one normalised copy for each vision tower.

    Attributes:
        size: Height and width of what the towers see.
        towers: One mean and spread for each tower, DINOv2 before SigLIP.
        settings: What the checkpoint does not say.
    """

    size: int
    towers: tuple[ChannelStatistics, ...]
    settings: PrismaticSettings = PrismaticSettings()

    @classmethod
    def open(cls, folder: Path, settings: PrismaticSettings | None = None) -> "PrismaticImages":
        """Read `preprocessor_config.json` of a checkpoint directory.

        Raises:
            CheckpointError: The file is missing or incomplete, or asks for another way of resizing.
        """
        values = read_json(folder, _FILE, _COPY)
        strategy = values.get("image_resize_strategy")
        if strategy != _STRATEGY:
            raise CheckpointError(
                f"{folder / _FILE} asks for image_resize_strategy '{strategy}'; only '{_STRATEGY}' is supported, "
                "that of every published OpenVLA policy. Fine-tune with it, or correct the file where it is wrong."
            )
        return cls(_size(values, folder), _towers(values, folder), settings or PrismaticSettings())

    def __call__(self, images: Sequence[RgbImage]) -> torch.Tensor:
        """All cameras of one observation, in the order of training (the primary camera first).

        Args:
            images: uint8 `[H, W, 3]` each, of any size.

        Returns:
            float32 `[3 * towers * cameras, size, size]`: the towers of the first camera, those of the second, ...

        Raises:
            ObservationError: There is no image, or one is not uint8 `[H, W, 3]`.
        """
        if not images:
            raise ObservationError("There is no image to look at: give one for each camera.")
        seen = [self.pixels(require_rgb(image, f"Image {index}")) for index, image in enumerate(images)]
        return torch.cat([normalized(image, tower) for image in seen for tower in self.towers])

    def pixels(self, image: RgbImage) -> RgbImage:
        """The image before normalisation: uint8 `[size, size, 3]`."""
        if self.settings.rotate_180:
            image = rotate_180(image)
        if self.settings.jpeg is not None:
            image = jpeg_round_trip(image, self.settings.jpeg)
        image = lanczos3_resize(image, self.size, self.size)
        return center_crop_area(image, self.settings.crop_area) if self.settings.center_crop else image


def _size(values: dict[str, Any], folder: Path) -> int:
    sizes = {tuple(size) for size in values.get("input_sizes") or ()}
    sides = {side for size in sizes for side in size[1:]}
    if len(sizes) != 1 or len(sides) != 1 or next(iter(sizes))[0] != 3:
        raise CheckpointError(
            f"{folder / _FILE} must have input_sizes [3, S, S], the same for every tower, got {sorted(sizes)}."
        )
    return int(sides.pop())


def _towers(values: dict[str, Any], folder: Path) -> tuple[ChannelStatistics, ...]:
    means, stds = values.get("means"), values.get("stds")
    fused = bool(values.get("use_fused_vision_backbone", False))
    count = 2 if fused else 1
    if means is None or stds is None or len(means) != count or len(stds) != count:
        raise CheckpointError(
            f"{folder / _FILE} must have {count} means and stds for use_fused_vision_backbone={fused}, "
            f"got means {means} and stds {stds}. {_COPY}"
        )
    try:
        return tuple(ChannelStatistics(tuple(mean), tuple(std)) for mean, std in zip(means, stds, strict=True))
    except (ConfigurationError, TypeError) as error:
        raise CheckpointError(f"{folder / _FILE}: {error}") from error
