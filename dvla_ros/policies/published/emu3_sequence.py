"""The sequence of UD-VLA and DFM-VLA: what stands where, and which ids of Emu3 the canvas' own ids are."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dvla_ros.actions.fast_vocabulary import FastVocabulary
from dvla_ros.denoising.canvas import FREE, Canvas, Segment
from dvla_ros.models.attention import Block
from dvla_ros.models.emu3 import VISUAL, size_ids
from dvla_ros.models.head import TokenRows
from dvla_ros.policies.token_system import ACTION
from dvla_ros.preprocessing.emu3_tokenizer import BOA, BOI, EOA, EOF, EOI, IMG, MASK

SLOTS = 69
"""Positions for an action chunk behind BOA: FAST ids and EOA."""

_RELEASED_SYMBOLS = (9, 15, 16, 17, 20)  # * 0 1 2 5, what the released code lets a decoder write before an image


@dataclass(frozen=True)
class Grid:
    """One camera's image as codes.

    Attributes:
        camera: Its name.
        rows: Rows of codes, an eighth of the image's height.
        columns: Columns of codes.
    """

    camera: str
    rows: int
    columns: int

    @property
    def before(self) -> tuple[int, ...]:
        """Ids before the codes: BOI, the size as text, IMG."""
        return (BOI, *size_ids(self.rows, self.columns), IMG)

    @property
    def after(self) -> tuple[int, ...]:
        """Ids after them."""
        return (EOF, EOI)

    @property
    def count(self) -> int:
        """Number of codes."""
        return self.rows * self.columns

    @property
    def length(self) -> int:
        """Positions of the image in the sequence."""
        return len(self.before) + self.count + len(self.after)

    @property
    def codes(self) -> slice:
        """Where the codes are within the image."""
        return slice(len(self.before), len(self.before) + self.count)

    def segment_ids(self, codes: Tensor) -> Tensor:
        """The image in Emu3's ids, int64 `[B, length]`, from codes `[B, rows, columns]`."""
        before, after = (
            torch.tensor(ids, device=codes.device).expand(len(codes), -1) for ids in (self.before, self.after)
        )
        return torch.cat([before, codes.flatten(1) + VISUAL.start, after], dim=1)


@dataclass(frozen=True)
class Emu3Sequence:
    """Text, the images of now, and the canvas: the images of the future (UD-VLA) and the action chunk.

    UD-VLA: `[BOS text] [image]... | [future image]... [BOA slots]`; DFM-VLA imagines nothing, and BOA is its prompt's
    last: `[BOS text] [image]... [BOA] | [slots]`. `|` is where the canvas begins.

    Ids of the canvas: in an image the visual tokens from 0 on, then what else may be chosen (IMG, EOF, star, digits),
    then BOI and EOI, which only stand prefilled; in the action the FAST ids, EOA, and prefilled BOA.

    Attributes:
        grids: The cameras' images, in the order of the training.
        fast_ids: Size of FAST's vocabulary.
        imagines: Whether the canvas has the future images.
    """

    grids: tuple[Grid, ...]
    fast_ids: int
    imagines: bool

    @property
    def eoa(self) -> int:
        """The canvas' id of EOA."""
        return self.fast_ids

    @property
    def images_length(self) -> int:
        """Positions of the images of one moment."""
        return sum(grid.length for grid in self.grids)

    def prompt_length(self, text: int) -> int:
        """Positions before the canvas with so many of text."""
        return text + self.images_length + (not self.imagines)

    def length(self, text: int) -> int:
        """Positions of the whole sequence with so many of text."""
        return self.prompt_length(text) + self.canvas.length

    def blocks(self, text: int) -> list[Block]:
        """Who belongs together: text, present, future, action."""
        present = [Block(grid.length, level=1) for grid in self.grids]
        future = [Block(grid.length, level=2) for grid in self.grids] if self.imagines else []
        return [Block(text, level=0, causal=True), *present, *future, Block(1 + SLOTS, level=3)]

    @cached_property
    def canvas(self) -> Canvas:
        """What a decoder fills."""
        if not self.imagines:
            return Canvas((Segment(ACTION, 1, SLOTS, self.fast_ids + 1),))
        prefilled = (self.fast_ids + 1, *(FREE,) * SLOTS)
        action = Segment(ACTION, 1, 1 + SLOTS, self.fast_ids + 2, prefilled, reserved=1)
        return Canvas((*map(self._image_segment, self.grids), action))

    @cached_property
    def image_ids(self) -> tuple[int, ...]:
        """Emu3's ids that a decoder may choose in an image, in the order of the canvas' ids."""
        own = (symbol for grid in self.grids for symbol in size_ids(grid.rows, grid.columns))
        return (*VISUAL, IMG, EOF, *sorted({*_RELEASED_SYMBOLS, *own}))

    @cached_property
    def action_ids(self) -> tuple[int, ...]:
        """Emu3's ids that a decoder may choose in the action, in the order of the canvas' ids."""
        return (*reversed(FastVocabulary.emu3(self.fast_ids).tokens), EOA)

    @cached_property
    def image_rows(self) -> TokenRows:
        """Rows of the head for `image_ids`."""
        return TokenRows(self.image_ids)

    @cached_property
    def action_rows(self) -> TokenRows:
        """Rows of the head for `action_ids`, those of FAST ascending so that they are one run: see `action_logits`."""
        return TokenRows.of(FastVocabulary.emu3(self.fast_ids).tokens, EOA)

    def action_logits(self, logits: Tensor) -> Tensor:
        """Logits over `action_rows`, in the order of the canvas' ids."""
        return torch.cat([logits[..., : self.fast_ids].flip(-1), logits[..., self.fast_ids :]], dim=-1)

    def emu3_ids(self) -> Tensor:
        """The ids of Emu3, int64 `[S, V + 1]`, that the canvas' ids 0..V-1 and MASK = V have in each segment."""
        table = torch.full((len(self.canvas.segments), self.canvas.vocabulary + 1), MASK)
        for row, segment in zip(table, self.canvas.segments, strict=True):
            ids = (*self.action_ids, BOA) if segment.name == ACTION else (*self.image_ids, BOI, EOI)
            row[: segment.vocabulary] = torch.tensor(ids[: segment.vocabulary])
        return table

    def codes_on_canvas(self, grid: Grid, tokens: Tensor) -> Tensor:
        """Codes int64 `[rows, columns]` of a future image on a decoded canvas int64 `[L]`; code 0 for what is none."""
        codes = tokens[self.canvas.span(_segment(grid.camera))][grid.codes]
        return torch.where(codes < len(VISUAL), codes, 0).unflatten(0, (grid.rows, grid.columns))

    def _image_segment(self, grid: Grid) -> Segment:
        begin = len(self.image_ids)
        prefilled = (begin, *(FREE,) * (grid.length - 2), begin + 1)
        return Segment(_segment(grid.camera), 1, grid.length, begin + 2, prefilled, reserved=2)


def _segment(camera: str) -> str:
    return f"image_{camera}"
