"""Positions of text and images in Qwen2-VL's sequence (arXiv 2409.12191, M-RoPE): time, height and width."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from dvla_ros.errors import ObservationError
from dvla_ros.models.rotary import text_positions


class Grid(NamedTuple):
    """Patches of one image, along each axis."""

    time: int
    height: int
    width: int

    def merged(self, merge: int) -> "Grid":
        """Tokens of the image, where `merge` x `merge` patches are one."""
        return Grid(self.time, self.height // merge, self.width // merge)

    @property
    def total(self) -> int:
        """How many there are."""
        return self.time * self.height * self.width


def sequence_positions(ids: Sequence[int], grids: Sequence[Grid], image_token: int, merge: int) -> Tensor:
    """Positions int64 `[3, L]` of a prompt.

    Text counts on by one in all three. The tokens of an image begin where the text before would have gone on, and count
    along their own axes; the text after it goes on behind the largest of its positions.

    Args:
        ids: Token ids of the prompt, L.
        grids: Patches of each image, in order; there is text between any two images.
        image_token: The id that stands for a token of an image.
        merge: Patches per side of a token.

    Raises:
        ObservationError: The image tokens are not those of the images.
    """
    runs = [(is_image, len(list(run))) for is_image, run in groupby(ids, lambda token: token == image_token)]
    images = [grid.merged(merge) for grid in grids]
    found, wanted = [length for is_image, length in runs if is_image], [image.total for image in images]
    if found != wanted:
        raise ObservationError(f"The prompt has runs of {found} image tokens, but the images make {wanted}.")
    pieces: list[Tensor] = []
    start, remaining = 0, iter(images)
    for is_image, length in runs:
        pieces.append(_image(next(remaining), start) if is_image else text_positions(length, start))
        start = int(pieces[-1].max()) + 1
    return torch.cat(pieces, dim=1)


def _image(grid: Grid, start: int) -> Tensor:
    axes = [torch.arange(length) + start for length in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
