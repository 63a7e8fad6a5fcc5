"""Which positions of a canvas belong to actions that were being executed when the picture was taken.

Such rows are what the arm did, disturbances too, and not what the expert wants: no objective teaches them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas
from dvla_ros.training.batch import Batch


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


def frozen_positions(batch: Batch, canvas: Canvas, *, rows_are_tokens: bool) -> FrozenPositions:
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


def has_row_tokens(canvas: Canvas, batch: Batch) -> bool:
    """Whether the action segment is laid out as the rows and columns of the chunk: a token for every number."""
    horizon, dims = batch.targets.actions.shape[1:]
    segment = canvas.segments[-1]
    return (segment.steps, segment.dims) == (horizon, dims)


def frozen_steps(batch: Batch) -> Tensor:
    """Leading actions that were being executed, int64 `[B]`; 0 where the batch does not say."""
    if batch.frozen is not None:
        return batch.frozen
    return torch.zeros(len(batch.state), dtype=torch.int64, device=batch.state.device)


def mean_where(values: Tensor, where: Tensor) -> Tensor:
    """Mean of the values at the positions that count, both `[B, L]`; 0 where none does."""
    return (values * where).sum() / where.sum().clamp_min(1)
