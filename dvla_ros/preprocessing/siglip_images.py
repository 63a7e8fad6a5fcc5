"""From a camera image to the one square tile that LLaDA-V's SigLIP tower sees."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.preprocessing.normalized_channels import HALVES, ChannelStatistics, normalized
from dvla_ros.preprocessing.rgb_image import RgbImage, bicubic, require_rgb, rotate_180

SquareFit = Literal["squash", "pad"]


@dataclass(frozen=True)
class SiglipImages:
    """A bicubic tile of values in -1..1.

    LLaDA-V was trained with `anyres_max_4`: an overview tile, squashed to a square, and up to four tiles of detail. A
    robot sends the overview only (729 tokens for 384 pixels and patches of 14): that is `squash`.

    Attributes:
        size: Height and width of the tile.
        fit: `squash` resizes both sides to `size`; `pad` first fills the shorter side up with the mean colour.
        rotate_180: Turn the image upside down and left to right first.
        statistics: Mean and spread.

    Raises:
        ConfigurationError: `size` is not positive, or there is no such fit.
    """

    size: int = 384
    fit: SquareFit = "squash"
    rotate_180: bool = False
    statistics: ChannelStatistics = HALVES

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigurationError(f"size must be 1 or more, got {self.size}.")
        if self.fit not in get_args(SquareFit):
            raise ConfigurationError(f"Unknown fit '{self.fit}'; choose one of {get_args(SquareFit)}.")

    def __call__(self, image: RgbImage) -> torch.Tensor:
        """uint8 `[H, W, 3]` to float32 `[3, size, size]`.

        Raises:
            ObservationError: The image is not uint8 `[H, W, 3]`.
        """
        return normalized(self.pixels(image), self.statistics)

    def pixels(self, image: RgbImage) -> RgbImage:
        """The tile before normalisation: uint8 `[size, size, 3]`."""
        image = require_rgb(image)
        if self.rotate_180:
            image = rotate_180(image)
        if self.fit == "pad":
            image = self._padded(image)
        return bicubic(image, self.size, self.size)

    def _padded(self, image: RgbImage) -> RgbImage:
        """The image in the middle of a square of the mean colour."""
        height, width = image.shape[:2]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        colour = [int(mean * 255) for mean in self.statistics.mean]
        square = np.full((side, side, 3), colour, dtype=np.uint8)
        square[top : top + height, left : left + width] = image
        return square
