"""Auxiliary losses of the perception: where in the images, and where in space, is what the sentence speaks of.

Recordings of a real arm do not say where things are: what is not known is NaN, and teaches nothing.
"""

import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.models.perception import POINTS, Percept
from dvla_ros.models.vision import STRIDE
from dvla_ros.training.batch import Batch, ExampleBatch


def grounding_counts(batch: ExampleBatch) -> dict[str, Tensor]:
    """How many points each loss is over; none where the batch does not come with any."""
    if not isinstance(batch, Batch):
        return {}
    return {"grounding": _visible(batch.pixels).sum(), "localising": batch.points.isfinite().sum().float()}


def grounding_sums(percept: Percept | None, batch: ExampleBatch) -> dict[str, Tensor]:
    """Both losses, undivided; none of a perception that is not trained."""
    if percept is None or not isinstance(batch, Batch):
        return {}
    height, width = batch.images.shape[-2:]
    found = grounding_errors(percept, batch.pixels, height, width)
    return {"grounding": found.sum(), "localising": localising_errors(percept, batch.points).sum()}


def localising_errors(percept: Percept, points: Tensor) -> Tensor:
    """Absolute errors `[B, 2, 3]` of the located points, per normalised unit of the state's x, y, z (about 0.12 m).

    Args:
        percept: Of B observations.
        points: True positions `[B, 2, 3]`, NaN where they are not known: 0 there.
    """
    return (percept.points - points.nan_to_num()).abs() * points.isfinite()


def grounding_errors(percept: Percept, pixels: Tensor, height: int, width: int) -> Tensor:
    """Heat-map cross-entropy and position error of the supervised keypoints, `[B, C, 2]`; 0 where not known or seen.

    Args:
        percept: Of B observations.
        pixels: True (u, v) `[B, C, 2, 2]`, NaN where they are not known.
        height: Image height in pixels.
        width: Image width in pixels.
    """
    visible = _visible(pixels)
    pixels = pixels.nan_to_num(nan=-1.0)  # out of view: NaN times 0 would still be NaN
    cells = _bilinear_cells(pixels.clamp(0.0, 1.0), height // STRIDE, width // STRIDE)
    cross_entropy = -(cells * percept.log_places[:, :, :POINTS]).sum(dim=-1)
    distance = (percept.positions[:, :, :POINTS] - pixels).abs().sum(dim=-1)
    return (cross_entropy + 5.0 * distance) * visible


def _visible(pixels: Tensor) -> Tensor:
    """1 where a point is known and in view, else 0, float `[B, C, 2]`."""
    return ((pixels > 0.0) & (pixels < 1.0)).all(dim=-1).float()


def _bilinear_cells(pixels: Tensor, rows: int, columns: int) -> Tensor:
    """Distribution over grid cells `[..., rows * columns]` whose mean is the point (u, v) in 0..1."""
    x = (pixels[..., 0] * columns - 0.5).clamp(0.0, columns - 1.0)
    y = (pixels[..., 1] * rows - 0.5).clamp(0.0, rows - 1.0)
    device = pixels.device
    across = functional.relu(1.0 - (x.unsqueeze(-1) - torch.arange(columns, device=device)).abs())
    down = functional.relu(1.0 - (y.unsqueeze(-1) - torch.arange(rows, device=device)).abs())
    return (down.unsqueeze(-1) * across.unsqueeze(-2)).flatten(-2)
