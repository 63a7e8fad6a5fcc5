"""DexVLA's augmentation, which its DiffusionVLA heads are trained with.

Source: the data set of `juruobenruo/DexVLA`, with torchvision's `RandomCrop`, `Resize`, `RandomRotation` and
`ColorJitter` on uint8. All cameras of a frame are changed alike: they pass through as one tensor.
"""

from dataclasses import dataclass

import numpy as np
import torch

from dvla_ros.errors import ConfigurationError

_GREY = np.array([0.2989, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class DexVlaAugmentation:
    """Crop, rotation, then brightness, contrast and saturation in any order.

    Attributes:
        side: Share of each side that the crop keeps, resized back.
        degrees: Largest rotation, either way; what turns into the picture is black.
        brightness: A factor of 1 - this to 1 + this, likewise the others.
        contrast: Of the distance from the picture's mean grey.
        saturation: Of the distance from each pixel's own grey.

    Raises:
        ConfigurationError: A value is out of range.
    """

    side: float = 0.95
    degrees: float = 5.0
    brightness: float = 0.3
    contrast: float = 0.4
    saturation: float = 0.5

    def __post_init__(self) -> None:
        strengths = (self.brightness, self.contrast, self.saturation)
        if not (0 < self.side <= 1 and 0 <= self.degrees <= 180 and all(0 <= value <= 1 for value in strengths)):
            raise ConfigurationError(
                f"side, brightness, contrast and saturation must lie in 0..1, degrees in 0..180, got {self}."
            )

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Other pictures of a frame, uint8 `[C, h, w, 3]`, of the same size."""
        height, width = images.shape[1:3]
        rows, columns = int(height * self.side), int(width * self.side)
        top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
        images = resized(images[:, top : top + rows, left : left + columns], height, width)
        images = rotated(images, rng.uniform(-self.degrees, self.degrees))
        factors = [1 + rng.uniform(-most, most) for most in (self.brightness, self.contrast, self.saturation)]
        for step in rng.permutation(3):
            images = (brightened, contrasted, saturated)[step](images, factors[step])
        return images


def resized(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear with antialiasing in float32, rounded, as torchvision does with uint8."""
    values = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))
    values = torch.nn.functional.interpolate(
        values, size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
    return np.ascontiguousarray(values.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())


def rotated(images: np.ndarray, degrees: float) -> np.ndarray:
    """Turned counter-clockwise about the middle; the nearest pixel of the original each, black where there is none."""
    height, width = images.shape[1:3]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    y, x = np.arange(height)[:, None] - middle_y, np.arange(width)[None] - middle_x
    rows = np.rint(sine * x + cosine * y + middle_y).astype(np.intp)
    columns = np.rint(cosine * x - sine * y + middle_x).astype(np.intp)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    found = images[:, rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return np.where(inside[None, ..., None], found, np.uint8(0))


def brightened(images: np.ndarray, factor: float) -> np.ndarray:
    """Values times a factor."""
    return _blended(images, np.float32(0), factor)


def contrasted(images: np.ndarray, factor: float) -> np.ndarray:
    """Values x become x factor + m (1 - factor), with the mean m of each picture in grey."""
    return _blended(images, _grey(images).mean(axis=(1, 2, 3), keepdims=True), factor)


def saturated(images: np.ndarray, factor: float) -> np.ndarray:
    """Values x become x factor + g (1 - factor), with each pixel's grey g."""
    return _blended(images, _grey(images), factor)


def _grey(images: np.ndarray) -> np.ndarray:
    """0.2989 r + 0.587 g + 0.114 b without its fraction, float32 `[C, h, w, 1]`."""
    return np.floor(images.astype(np.float32) @ _GREY)[..., None]


def _blended(images: np.ndarray, other: np.ndarray | np.float32, share: float) -> np.ndarray:
    """Towards or away from `other`, clipped; the fraction is cut off."""
    values = np.float32(share) * images.astype(np.float32) + np.float32(1 - share) * other
    return values.clip(0, 255).astype(np.uint8)
