"""The canvas after every denoising step, and what became of each position in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from dvla_ros.errors import ActionError


class Cell(IntEnum):
    """What a position of the canvas is after a denoising step."""

    MASKED = 0
    HELD = 1
    COMMITTED = 2
    REMASKED = 3
    FROZEN = 4


CELL_NAMES = {
    Cell.MASKED: "masked",
    Cell.HELD: "committed before",
    Cell.COMMITTED: "committed in this step",
    Cell.REMASKED: "masked again in this step",
    Cell.FROZEN: "frozen by the caller",
}


@dataclass(frozen=True)
class Segment:
    """A run of positions of the canvas, row-major over rows and columns."""

    name: str
    rows: int
    columns: int

    @property
    def size(self) -> int:
        """Number of positions."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Trace:
    """S denoising steps of a canvas of L positions.

    Attributes:
        epoch: Epoch of the chunk.
        sequence: Sequence of the chunk.
        segments: In the order of their positions; the sum of their sizes is L.
        tokens: int32 `[S, L]` after each step.
        confidence: float32 `[S, L]`, 0..1, of the token proposed at each position.
        committed: bool `[S, L]`, the position received its token in this step.
        remasked: bool `[S, L]`, the position lost its token in this step.
        frozen: bool `[S, L]`, the position was fixed by the caller.
        mask_token: Token id that means "still masked".
        preprocess_s: Seconds spent on images and text.
        prefill_s: Seconds spent on the prefix.
        denoise_s: Seconds spent in the denoising loop.

    Raises:
        ActionError: The arrays do not fit the segments.
    """

    epoch: int
    sequence: int
    segments: tuple[Segment, ...]
    tokens: np.ndarray
    confidence: np.ndarray
    committed: np.ndarray
    remasked: np.ndarray
    frozen: np.ndarray
    mask_token: int
    preprocess_s: float
    prefill_s: float
    denoise_s: float

    def __post_init__(self) -> None:
        size = sum(segment.size for segment in self.segments)
        for name in ("tokens", "confidence", "committed", "remasked", "frozen"):
            shape = getattr(self, name).shape
            if shape != (self.steps, size):
                raise ActionError(
                    f"The trace of chunk {self.sequence} has {name} of shape {list(shape)}, "
                    f"its {self.steps} steps and segments need {[self.steps, size]}."
                )

    @property
    def steps(self) -> int:
        """Number S of denoising steps."""
        return int(self.tokens.shape[0])

    def cells(self) -> np.ndarray:
        """What each position is after each step: uint8 `[S, L]` of `Cell`.

        A position that got a token and lost it in the same step is masked again.
        """
        cells = np.where(self.tokens == self.mask_token, Cell.MASKED, Cell.HELD).astype(np.uint8)
        cells[self.committed] = Cell.COMMITTED
        cells[self.remasked] = Cell.REMASKED
        cells[self.frozen] = Cell.FROZEN
        return cells

    def parts(self) -> Iterator[tuple[Segment, slice]]:
        """The segments with the positions they have on the canvas."""
        begin = 0
        for segment in self.segments:
            yield segment, slice(begin, begin + segment.size)
            begin += segment.size
