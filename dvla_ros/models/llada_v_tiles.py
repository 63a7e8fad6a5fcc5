"""LLaDA-V's images: one square tile, or a small one of the whole and a grid of tiles of the parts.

`anyres_max_N`, as LLaDA-V was trained: of all grids of tiles, the one that shows most of the image's own pixels with
the least padding; the padding's features are cut off again, what is then more than N tiles' worth is shrunk, and a
newline feature ends every row (LLaVA-NeXT's and LLaVA-OneVision's way, arXiv 2408.03326).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.errors import CheckpointError

Aspect = Literal["square", "pad", "anyres"]
_LITTLE = 1.1  # a grid that is larger than allowed by less than this factor per side is left as it is


@dataclass(frozen=True)
class ImageForm:
    """How an image becomes tiles, and their features a sequence.

    Attributes:
        aspect: `square`, stretched to one tile; `pad`, padded with grey to a square and then one tile; `anyres`, a tile
            of the whole, stretched, and then a grid of tiles of the image with black margins.
        merge: `flat`, tile after tile; `spatial`, the grid's features row by row as they lie in the image, the tile of
            the whole before them.
        unpad: With `spatial`: cut the margins' features off and end every row, or a single tile, with the newline.
        grids: With `anyres`: (width, height) in pixels that a grid may have.
        max_tiles: With `anyres` and `unpad`: shrink what is more than this many tiles' features; 0 for never.
    """

    aspect: Aspect = "square"
    merge: Literal["flat", "spatial"] = "flat"
    unpad: bool = False
    grids: tuple[tuple[int, int], ...] = ()
    max_tiles: int = 0

    @classmethod
    def from_json(cls, values: Mapping[str, Any], tile: int) -> "ImageForm":
        """From the keys of LLaDA-V's `config.json`.

        Args:
            values: Keys; `image_aspect_ratio`, `mm_patch_merge_type` and `image_grid_pinpoints` are looked at.
            tile: Rows and columns of a tile.

        Raises:
            CheckpointError: A value is unknown, or grids are missing.
        """
        merge = values.get("mm_patch_merge_type") or "flat"
        if merge not in ("flat", "spatial", "spatial_unpad"):
            raise CheckpointError(
                f"config.json: mm_patch_merge_type must be flat, spatial or spatial_unpad, got {merge!r}."
            )
        ratio = values.get("image_aspect_ratio") or "square"
        joined: Literal["flat", "spatial"] = "flat" if merge == "flat" else "spatial"
        unpad = merge == "spatial_unpad"
        if ratio == "square":
            return cls("square", joined, unpad)
        if ratio == "pad":
            return cls("pad", joined, unpad)
        matched = re.fullmatch(r"anyres(?:_max_([1-9]\d*))?", str(ratio))
        if not matched:
            raise CheckpointError(
                f"config.json: image_aspect_ratio must be square, pad, anyres or anyres_max_N, got {ratio!r}."
            )
        grids = _grids(values.get("image_grid_pinpoints"), tile)
        return cls("anyres", joined, unpad, grids, int(matched[1] or 0))

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) in pixels of the grid for an image; of equally good ones, the first."""

        def worth(grid: tuple[int, int]) -> tuple[int, int]:
            scale = min(grid[0] / width, grid[1] / height)
            shown = min(int(width * scale) * int(height * scale), width * height)
            return shown, shown - grid[0] * grid[1]

        return max(self.grids, key=worth)

    def most_tiles(self, tile: int) -> int:
        """Tiles' worth of features that an image has at most, of tiles of so many pixels."""
        if self.aspect != "anyres":
            return 1
        parts = max((width // tile) * (height // tile) for width, height in self.grids)
        if self.unpad and self.max_tiles:
            parts = min(parts, math.ceil(self.max_tiles * _LITTLE**2))
        return 1 + parts

    def join(self, features: Tensor, newline: Tensor | None, width: int, height: int, tile: int) -> Tensor:
        """Features of one image's tiles `[T, P, W]` as a sequence `[L, W]`.

        Args:
            features: Of the tiles; with `anyres`, the whole first and then the grid row by row.
            newline: `[W]`; needed with `unpad`.
            width: Of the image before it was cut, in pixels.
            height: Likewise.
            tile: Rows and columns of a tile in pixels.
        """
        if self.merge == "flat":
            return features.flatten(0, 1)
        if len(features) == 1:
            return features[0] if newline is None or not self.unpad else torch.cat([features[0], newline[None]])
        side = math.isqrt(features.shape[1])
        columns, rows = (size // tile for size in self.grid(width, height))
        plane = features[1:].reshape(rows, columns, side, side, -1).permute(4, 0, 2, 1, 3)
        plane = plane.reshape(-1, rows * side, columns * side)
        if self.unpad and newline is not None:
            plane = self._shrunk(_without_margins(plane, width, height), side)
            plane = torch.cat([plane, newline[:, None, None].expand(-1, plane.shape[1], 1)], dim=2)
        return torch.cat([features[0], plane.flatten(1).T])

    def _shrunk(self, plane: Tensor, side: int) -> Tensor:
        _, height, width = plane.shape
        if not self.max_tiles:
            return plane
        factor = math.sqrt(height * width / (self.max_tiles * side**2))
        if factor <= _LITTLE:
            return plane
        size = (int(height // factor), int(width // factor))
        return functional.interpolate(plane[None], size, mode="bilinear")[0]


def _without_margins(plane: Tensor, width: int, height: int) -> Tensor:
    """The part of a plane `[W, h, w]` that an image of this shape covers when it is centred in it."""
    rows, columns = plane.shape[1:]
    if width / height > columns / rows:
        margin = (rows - int(height * (columns / width))) // 2
        return plane[:, margin : rows - margin]
    margin = (columns - int(width * (rows / height))) // 2
    return plane[:, :, margin : columns - margin]


def _grids(pinpoints: object, tile: int) -> tuple[tuple[int, int], ...]:
    """`(1x1),...,(6x6)` in tiles, or a list of [width, height] in pixels."""
    if isinstance(pinpoints, str) and "x" in pinpoints:
        pairs = [(int(a), int(b)) for a, b in re.findall(r"\((\d+)x(\d+)\)", pinpoints)]
        if pairs and max(*pairs[-1]) <= 32:
            across, down = (range(first, last + 1) for first, last in zip(pairs[0], pairs[-1], strict=True))
            found: list[Any] = [(tile * a, tile * b) for a in across for b in down]
        else:
            found = []
    elif isinstance(pinpoints, str):
        found = [tuple(map(int, pair)) for pair in re.findall(r"[\[(]\s*(\d+)\s*,\s*(\d+)\s*[\])]", pinpoints)]
    else:
        found = [tuple(pair) for pair in pinpoints] if isinstance(pinpoints, (list, tuple)) else []
    wrong = [pair for pair in found if len(pair) != 2 or any(size < tile or size % tile for size in pair)]
    if not found or wrong:
        raise CheckpointError(
            f"config.json: image_grid_pinpoints must be like '(1x1),...,(6x6)' or a list of [width, height], multiples "
            f"of {tile}, got {pinpoints!r}."
        )
    return tuple((int(width), int(height)) for width, height in found)
