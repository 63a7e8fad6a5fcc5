"""Which positions of a canvas belong to actions that were being executed when the picture was taken.

Such rows are what the arm did, disturbances too, and not what the expert wants: no objective teaches them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.noise import TRAINING, Noise
from dvla_ros.errors import ConfigurationError
from dvla_ros.training.batch import ExampleBatch

_LEADING = 8
"""First draw for the rows that are given; those before it are for what is masked."""


class FrozenPositions(NamedTuple):
    """Positions of canvases whose first rows were being executed.

    Attributes:
        given: bool `[B, L]`, shown to the network as they are, as they will be when a policy freezes them.
        untaught: bool `[B, L]`, left out of the loss.
    """

    given: Tensor
    untaught: Tensor

    def repeat(self, times: int) -> "FrozenPositions":
        """The same for `times` canvases per row, those of one row side by side."""
        return FrozenPositions(*(part.repeat_interleave(times, dim=0) for part in self))


def frozen_positions(batch: ExampleBatch, canvas: Canvas, *, rows_are_tokens: bool) -> FrozenPositions:
    """What is given of the chunk's tokens, the last ones of the canvas, and what is not to be learned.

    Where every number has a token of its own (bins, intervals), these are the tokens of the frozen rows. A FAST token
    is a frequency of the whole chunk: none can be given, and all have the frozen rows in them. The action tokens of
    such a frame are not taught at all, or the network would imitate the shoves that the arm was given; frozen rows are
    then a matter of decoding alone, see `policies.row_guidance`.

    Args:
        batch: Whose `frozen` says how many rows.
        canvas: L positions, the action segment last.
        rows_are_tokens: Whether every number has a token of its own.
    """
    horizon, dims = batch.targets.actions.shape[1:]
    count = frozen_steps(batch).unsqueeze(1)
    place = torch.arange(canvas.length, device=count.device)
    if rows_are_tokens:
        number = place - (canvas.length - horizon * dims)
        given = (number >= 0) & (number < count * dims)
        return FrozenPositions(given, given)
    untaught = (place >= canvas.length - canvas.segments[-1].length) & (count > 0)
    return FrozenPositions(torch.zeros_like(untaught), untaught)


def has_row_tokens(canvas: Canvas, batch: ExampleBatch) -> bool:
    """Whether the action segment is laid out as the rows and columns of the chunk: a token for every number."""
    horizon, dims = batch.targets.actions.shape[1:]
    segment = canvas.segments[-1]
    return (segment.steps, segment.dims) == (horizon, dims)


def frozen_steps(batch: ExampleBatch) -> Tensor:
    """Leading actions that were being executed, int64 `[B]`; 0 where the batch does not say."""
    if batch.frozen is not None:
        return batch.frozen
    return torch.zeros(len(batch), dtype=torch.int64, device=batch.targets.actions.device)


def leading_rows(share: float, canvas: Canvas, batch: ExampleBatch, noise: Noise) -> Tensor:
    """Rows given to some of the chunks, so that a network learns to go on from rows that are being executed.

    Half of the rows at most, and few more often than many: P(d) is proportional to n + 1 - d for d in 0..n, n = H / 2
    (DiscreteRTC, arXiv 2604.25050, fine-tuning). What is given is what the expert did, which is also what is wanted.

    Args:
        share: Of the chunks, 0..1, that are given any.
        canvas: L positions, the action segment last.
        batch: Of B chunks; those of frames in which rows were being executed already have these, and no others.
        noise: Of the B examples.

    Returns:
        bool `[B, L]`.

    Raises:
        ConfigurationError: A share is wanted of chunks whose tokens belong to no row (FAST).
    """
    if share > 0 and not has_row_tokens(canvas, batch):
        raise ConfigurationError("inpainting gives rows, and FAST tokens belong to no row: set inpainting=0.")
    horizon, dims = batch.targets.actions.shape[1:]
    most = horizon // 2
    weights = torch.arange(most + 1, 0, -1, device=noise.device).float()
    drawn = noise.uniform(1, step=TRAINING, draw=_LEADING)
    count = (drawn > (weights.cumsum(0) / weights.sum())).sum(dim=1)
    chosen = noise.uniform(step=TRAINING, draw=_LEADING + 1) < share
    count = torch.where(chosen & (frozen_steps(batch) == 0), count, 0)
    number = torch.arange(canvas.length, device=noise.device) - (canvas.length - horizon * dims)
    return (number >= 0) & (number < count.unsqueeze(1) * dims)


def require_share(name: str, value: float) -> None:
    """Check a share.

    Raises:
        ConfigurationError: It is not in 0..1.
    """
    if not 0.0 <= value <= 1.0:
        raise ConfigurationError(f"{name} must be in 0..1, got {value}.")
