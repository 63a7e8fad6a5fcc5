"""The image size that Qwen2-VL and Emu3 choose: multiples of a factor, a bounded area, the aspect ratio kept."""

import math
from dataclasses import dataclass

from dvla_ros.errors import ConfigurationError, ObservationError


@dataclass(frozen=True)
class SmartResize:
    """The rule and its bounds.

    Attributes:
        factor: Both sides become multiples of it.
        min_pixels: Smallest area.
        max_pixels: Largest area.
        max_ratio: Longest side divided by the shortest, at most.
        min_side: Shortest side that may come in.

    Raises:
        ConfigurationError: A number is not positive, or the bounds are in the wrong order.
    """

    factor: int
    min_pixels: int
    max_pixels: int
    max_ratio: float
    min_side: int = 1

    def __post_init__(self) -> None:
        if self.factor < 1 or self.min_side < 1 or self.max_ratio < 1:
            raise ConfigurationError(f"factor, min_side and max_ratio must be 1 or more, got {self}.")
        if not 0 < self.min_pixels <= self.max_pixels:
            raise ConfigurationError(
                f"min_pixels must be positive and max_pixels at most, got {self.min_pixels} and {self.max_pixels}."
            )

    @classmethod
    def qwen2(cls, min_pixels: int, max_pixels: int, factor: int = 28) -> "SmartResize":
        """Qwen2-VL's: factor = patch 14 times merge 2."""
        return cls(factor, min_pixels, max_pixels, max_ratio=200.0)

    @classmethod
    def emu3(cls, min_pixels: int, max_pixels: int, factor: int = 8) -> "SmartResize":
        """Emu3's image tokenizer's: narrow and tiny images are refused."""
        return cls(factor, min_pixels, max_pixels, max_ratio=5.0, min_side=factor)

    def __call__(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to resize to.

        Sides are rounded to multiples of the factor (half to even). Where that is too large, both are divided by
        sqrt(area / max_pixels) and rounded down, to the factor at least; where too small, they grow likewise, up.

        Raises:
            ObservationError: The image is too narrow or too small.
        """
        self._check(height, width)
        tall, wide = round(height / self.factor) * self.factor, round(width / self.factor) * self.factor
        if tall * wide > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            return self._down(height / shrink), self._down(width / shrink)
        if tall * wide < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            return self._up(height * grow), self._up(width * grow)
        return tall, wide

    def _check(self, height: int, width: int) -> None:
        if min(height, width) < self.min_side:
            raise ObservationError(f"Images must be {self.min_side} pixels or more a side, got {height}x{width}.")
        if max(height, width) > self.max_ratio * min(height, width):
            raise ObservationError(
                f"One side of an image may be {self.max_ratio:g} times the other at most, got {height}x{width}."
            )

    def _down(self, side: float) -> int:
        return max(self.factor, math.floor(side / self.factor) * self.factor)

    def _up(self, side: float) -> int:
        return math.ceil(side / self.factor) * self.factor
