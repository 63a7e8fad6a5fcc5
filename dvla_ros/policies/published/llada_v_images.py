"""A camera image cut into the tiles that LLaDA-V's vision tower sees."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dvla_ros.models.llada_v_tiles import ImageForm
from dvla_ros.policies.device_copy import to_device
from dvla_ros.preprocessing.normalized_channels import HALVES, normalized
from dvla_ros.preprocessing.rgb_image import RgbImage, bicubic, require_rgb, rotate_180
from dvla_ros.preprocessing.siglip_images import SiglipImages


@dataclass(frozen=True)
class Tiles:
    """One image in tiles.

    Attributes:
        pixels: float32 `[T, 3, S, S]` in -1..1.
        width: Of the image before it was cut, in pixels.
        height: Likewise.
    """

    pixels: Tensor
    width: int
    height: int

    def to(self, device: torch.device) -> "Tiles":
        """The same on a device."""
        return Tiles(to_device(self.pixels, device), self.width, self.height)


@dataclass(frozen=True)
class TileCutter:
    """Images to tiles.

    Attributes:
        form: What tiles there are.
        size: Rows and columns of a tile, S.
        turned: Turn every image by 180 degrees first.
    """

    form: ImageForm
    size: int
    turned: bool = False

    def __call__(self, image: np.ndarray, name: str) -> Tiles:
        """Cut uint8 `[H, W, 3]`.

        Raises:
            ObservationError: The image is not RGB; `name` says which one.
        """
        checked = require_rgb(image, f"The image of camera {name}")
        if self.turned:
            checked = rotate_180(checked)
        height, width = checked.shape[:2]
        one = SiglipImages(self.size, "pad" if self.form.aspect == "pad" else "squash")(checked)
        if self.form.aspect != "anyres":
            return Tiles(one[None], width, height)
        return Tiles(torch.stack([one, *self._grid(checked)]), width, height)

    def _grid(self, image: RgbImage) -> list[Tensor]:
        """Row by row, the image as large as the grid allows in the middle of black."""
        height, width = image.shape[:2]
        columns, rows = self.form.grid(width, height)
        canvas = np.zeros((rows, columns, 3), dtype=np.uint8)
        across, down = columns / width, rows / height
        if across < down:
            new_width, new_height = columns, min(math.ceil(height * across), rows)
        else:
            new_width, new_height = min(math.ceil(width * down), columns), rows
        top, left = (rows - new_height) // 2, (columns - new_width) // 2
        canvas[top : top + new_height, left : left + new_width] = bicubic(image, new_height, new_width)
        return [
            normalized(canvas[y : y + self.size, x : x + self.size], HALVES)
            for y in range(0, rows, self.size)
            for x in range(0, columns, self.size)
        ]
