"""OpenVLA's augmentation, which OpenVLA-OFT and Discrete Diffusion VLA train with.

Source: `image_augment_kwargs` in the RLDS data set of `openvla/openvla` and `augment_image` of `dlimp`. Values are
fractions of 255 in float32 and clipped to 0..1 after each step; every picture of a frame draws for itself.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from dvla_ros.errors import ConfigurationError
from dvla_ros.preprocessing.crop_and_resize import crop_and_resize

_TO_UINT8 = np.float32(255.5)  # tf.image.convert_image_dtype: largest value + 1/2, then the fraction is cut off


@dataclass(frozen=True)
class OpenVlaAugmentation:
    """Crop, brightness, contrast, saturation and hue, in this order.

    Attributes:
        area: Share of the picture's area that the crop keeps, of the picture's own shape, resized back.
        brightness: Largest number that is added.
        contrast: Factors of the distance from each colour's mean over the picture, from and to.
        saturation: Factors of the saturation, from and to.
        hue: Largest turn of the hue, in turns.
        diagonal: Whether crops lie on the picture's diagonal only: the released code draws the row and the column of
            the corner from one seed, hence alike. What the paper says, a random crop, lies anywhere.

    Raises:
        ConfigurationError: A value is out of range.
    """

    area: float = 0.9
    brightness: float = 0.2
    contrast: tuple[float, float] = (0.8, 1.2)
    saturation: tuple[float, float] = (0.8, 1.2)
    hue: float = 0.05
    diagonal: bool = False

    def __post_init__(self) -> None:
        ranges = (self.contrast, self.saturation)
        if not (0 < self.area <= 1 and 0 <= self.brightness <= 1 and 0 <= self.hue <= 0.5):
            raise ConfigurationError(f"area and brightness must lie in 0..1, hue in 0..0.5, got {self}.")
        if any(not 0 <= low <= high for low, high in ranges):
            raise ConfigurationError(f"contrast and saturation go from a factor of 0 or more to a larger, got {self}.")

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Other pictures of a frame, uint8 `[C, h, w, 3]`, of the same size."""
        return np.stack([self._one(image, rng) for image in images])

    def _one(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        down, across = rng.random(2)
        values = cropped(image.astype(np.float32) / 255, self.area, down, down if self.diagonal else across)
        values = brightened(values, rng.uniform(-self.brightness, self.brightness))
        values = contrasted(values, rng.uniform(*self.contrast))
        values = recoloured(values, rng.uniform(*self.saturation), rng.uniform(-self.hue, self.hue))
        return (values * _TO_UINT8).clip(0, 255).astype(np.uint8)


def cropped(values: np.ndarray, area: float, down: float, across: float) -> np.ndarray:
    """A part of a picture, as large as the picture: sides sqrt(area), at these shares of the room there is."""
    side = np.float32(np.sqrt(area))
    top, left = np.float32(down) * (1 - side), np.float32(across) * (1 - side)
    box = (top, left, top + side, left + side)
    return np.clip(crop_and_resize(values, box, *values.shape[:2]), 0, 1)


def brightened(values: np.ndarray, delta: float) -> np.ndarray:
    """Values plus a number."""
    return np.clip(values + np.float32(delta), 0, 1)


def contrasted(values: np.ndarray, factor: float) -> np.ndarray:
    """Values x become (x - mean) factor + mean, with the mean of each colour over the picture."""
    mean = values.mean(axis=(0, 1), keepdims=True)
    return np.clip((values - mean) * np.float32(factor) + mean, 0, 1)


def recoloured(values: np.ndarray, saturation: float, hue: float) -> np.ndarray:
    """Saturation times a factor, 1 at most, and hue turned by so many turns; both in HSV."""
    hsv = cv2.cvtColor(np.ascontiguousarray(values, np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360.0 * hue) % 360.0
    hsv[..., 1] = np.minimum(hsv[..., 1] * saturation, 1.0)
    return np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), 0, 1)
