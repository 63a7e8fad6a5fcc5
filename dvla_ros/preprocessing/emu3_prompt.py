"""The prompt and the image segments of UniVLA, UD-VLA and DFM-VLA."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvla_ros.errors import ObservationError
from dvla_ros.preprocessing.emu3_tokenizer import (
    BOI,
    BOS,
    EOF,
    EOI,
    FIRST_CODE,
    IMG,
    NUM_CODES,
    Emu3Tokenizer,
)

_FRAMES = 1  # images of one camera in a segment


@dataclass(frozen=True)
class Emu3Prompt:
    """Ids of an instruction and of images.

    Attributes:
        tokenizer: Emu3's.
    """

    tokenizer: Emu3Tokenizer

    def __call__(self, instruction: str) -> list[int]:
        """BOS and the instruction as it is, no words around it."""
        return [BOS, *self.tokenizer.encode(instruction)]

    def image(self, codes: NDArray[np.integer]) -> list[int]:
        """One camera: start, "1*h*w", image token, the codes row by row, end of frame, end.

        Args:
            codes: integer `[h, w]` in 0..32767, from the image tokenizer.

        Raises:
            ObservationError: The shape or a code is another one.
        """
        values = np.asarray(codes)
        if values.ndim != 2 or values.size == 0 or values.min() < 0 or values.max() >= NUM_CODES:
            raise ObservationError(
                f"Image codes must be [h, w] in 0..{NUM_CODES - 1}, got {list(values.shape)}"
                f"{f' in {values.min()}..{values.max()}' if values.size else ''}."
            )
        return [*self.image_start(*values.shape), *(values.ravel() + FIRST_CODE).tolist(), EOF, EOI]

    def image_start(self, height: int, width: int) -> list[int]:
        """What precedes the codes of an image of height times width codes."""
        return [BOI, *self.tokenizer.encode(f"{_FRAMES}*{height}*{width}"), IMG]
