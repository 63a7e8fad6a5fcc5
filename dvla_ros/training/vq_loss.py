"""The tokenizer's reconstruction error, in which pixels that matter count more.

Codes are few and a cube is five pixels wide. What counts more are coloured pixels, with a rim around them, and those
that differ from what the camera shows on average: the arm, the plate.
"""

from torch import Tensor
from torch.nn import functional

SATURATED = (60.0, 100.0)
"""Greatest minus least channel where a pixel begins to count as coloured, and where it fully does; the table has 45."""
_CHANGED = 60.0
"""Mean difference from the camera's mean image at which a pixel fully counts as changed."""


def saturation(images: Tensor) -> Tensor:
    """Greatest minus least colour channel, `[B, 1, h, w]` of images `[B, 3, h, w]`."""
    return images.amax(dim=1, keepdim=True) - images.amin(dim=1, keepdim=True)


def pixel_weights(images: Tensor, means: Tensor, coloured: float, changed: float) -> Tensor:
    """How much each pixel counts, 1 or more.

    Args:
        images: float `[B, 3, h, w]` in 0..255.
        means: What each image's camera shows on average, of the same shape.
        coloured: Extra weight of a saturated pixel.
        changed: Extra weight of a pixel unlike the mean image.

    Returns:
        `[B, 1, h, w]`.
    """
    low, high = SATURATED
    colour = ((saturation(images) - low) / (high - low)).clamp(0.0, 1.0)
    # A rim of one pixel counts like the cube itself, or smearing its edge would be free.
    colour = functional.max_pool2d(colour, 3, stride=1, padding=1)
    change = ((images - means).abs().mean(dim=1, keepdim=True) / _CHANGED).clamp(0.0, 1.0)
    return 1.0 + coloured * colour + changed * change


def weighted_error(made: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of |e| + e² over pixels: sharp edges from the one, no cube left out from the other."""
    error = made - target
    return (weight * (error.abs() + error.square())).mean() / weight.mean()
