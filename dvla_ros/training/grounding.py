"""Auxiliary losses of the perception: where in the images, and where in space, is what the sentence speaks of.

Recordings of a real arm do not say where things are: what is not known is NaN, and teaches nothing.
"""

import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.models.perception import POINTS, Percept
from dvla_ros.models.vision import STRIDE
from dvla_ros.training.batch import Batch, Losses


def with_grounding(losses: Losses, percept: Percept, batch: Batch, grounding: float, localising: float) -> Losses:
    """Add both auxiliary losses with their weights; a perception that is not trained has none.

    Args:
        losses: Of the actions.
        percept: Of the batch.
        batch: Holds the truth.
        grounding: Weight of finding object and goal in the images.
        localising: Weight of telling where they are, per normalised unit of the state's x, y, z (about 0.12 m).
    """
    if not percept.tokens.requires_grad:
        return losses
    height, width = batch.images.shape[-2:]
    found = grounding_loss(percept, batch.pixels, height, width)
    located = localising_loss(percept, batch.points)
    return Losses(
        losses.total + grounding * found + localising * located,
        {**losses.parts, "grounding": found, "localising": located},
    )


def localising_loss(percept: Percept, points: Tensor) -> Tensor:
    """Mean absolute error of the located points where they are known; 0 where none is.

    Args:
        percept: Of B observations.
        points: True positions `[B, 2, 3]`, NaN where they are not known.
    """
    known = points.isfinite()
    error = (percept.points - points.nan_to_num()).abs() * known
    return error.sum() / known.sum().clamp_min(1)


def grounding_loss(percept: Percept, pixels: Tensor, height: int, width: int) -> Tensor:
    """Heat-map cross-entropy and position error of the supervised keypoints, where they are known and in view.

    Args:
        percept: Of B observations.
        pixels: True (u, v) `[B, C, 2, 2]`, NaN where they are not known.
        height: Image height in pixels.
        width: Image width in pixels.
    """
    pixels = pixels.nan_to_num(nan=-1.0)  # out of view: NaN times 0 would still be NaN
    visible = ((pixels > 0.0) & (pixels < 1.0)).all(dim=-1).float()
    cells = _bilinear_cells(pixels.clamp(0.0, 1.0), height // STRIDE, width // STRIDE)
    cross_entropy = -(cells * percept.log_places[:, :, :POINTS]).sum(dim=-1)
    distance = (percept.positions[:, :, :POINTS] - pixels).abs().sum(dim=-1)
    return ((cross_entropy + 5.0 * distance) * visible).sum() / visible.sum().clamp_min(1.0)


def _bilinear_cells(pixels: Tensor, rows: int, columns: int) -> Tensor:
    """Distribution over grid cells `[..., rows * columns]` whose mean is the point (u, v) in 0..1."""
    x = (pixels[..., 0] * columns - 0.5).clamp(0.0, columns - 1.0)
    y = (pixels[..., 1] * rows - 0.5).clamp(0.0, rows - 1.0)
    device = pixels.device
    across = functional.relu(1.0 - (x.unsqueeze(-1) - torch.arange(columns, device=device)).abs())
    down = functional.relu(1.0 - (y.unsqueeze(-1) - torch.arange(rows, device=device)).abs())
    return (down.unsqueeze(-1) * across.unsqueeze(-2)).flatten(-2)
