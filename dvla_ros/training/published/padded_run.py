"""Prompts of different lengths in one batch, and canvases behind each of them, with gradients.

Prompts are padded on the left, so that all of them end where the canvas begins. Padding is seen by nobody and counts no
position: every row gets the numbers that it would get alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from dvla_ros.models.attention import Block, Levels, prefix_is_exact, visibility
from dvla_ros.models.key_value_cache import PrefixCache
from dvla_ros.models.trunk import Trunk


@dataclass(frozen=True)
class Prompts:
    """What stands before the canvases.

    Attributes:
        embedded: `[B, P, W]`.
        padding: bool `[B, P]`, True at the left of rows that are shorter; None where all are of one length.
        blocks: Of the longest prompt and the canvas, `models.attention`.
        settled: Leading positions that may be run once for all canvases of a prompt, the most first.
    """

    embedded: Tensor
    padding: Tensor | None
    blocks: tuple[Block, ...]
    settled: tuple[int, ...]


class PaddedRun:
    """Hidden states of canvases behind prompts.

    What of the prompts sees nothing behind it runs once, and is shared by the canvases of a prompt; the rest runs with
    each canvas.

    Args:
        trunk: Of the language model.
        prompts: Of B observations.
        attention: A variant of `models.attention`.
        times: Canvases of each prompt, side by side.
    """

    def __init__(self, trunk: Trunk, prompts: Prompts, attention: str, times: int = 1) -> None:
        self._trunk, self._attention = trunk, attention
        self._prompt = prompts.embedded.shape[1]
        self._settled = _settled(prompts, attention)
        device = prompts.embedded.device
        self._common = _visible_to_all(prompts.blocks, attention)
        self._levels = Levels.of(prompts.blocks, device)
        canvas = self._levels.level.shape[-1] - self._prompt
        self._positions: Tensor | None = None
        if prompts.padding is not None:
            padding = functional.pad(prompts.padding, (0, canvas))
            self._positions = ((~padding).long().cumsum(-1) - 1).clamp_min(0)
            self._levels = self._levels.with_padding(padding)
        cache, self._last = self._run_settled(prompts.embedded[:, : self._settled])
        self._cache = cache.repeat(times) if times > 1 else cache
        self._rest = prompts.embedded[:, self._settled :].repeat_interleave(times, dim=0)
        if times > 1:
            self._last = None if self._last is None else self._last.repeat_interleave(times, dim=0)
            self._positions = None if self._positions is None else self._positions.repeat_interleave(times, dim=0)
            self._levels = _rows(self._levels, times)

    def hidden(self, canvas: Tensor, ends: Tensor | None = None) -> Tensor:
        """Hidden states `[B * times, 1 + L, W]` of the prompt's last position and the canvas.

        Args:
            canvas: Embedded, `[B * times, L, W]`.
            ends: bool `[B * times, L]`, see `Levels.ending_after`; None where nothing ends the canvas early.
        """
        levels = self._levels
        if ends is not None:
            levels = levels.ending_after(functional.pad(ends, (self._prompt, 0)))
        mask = self._mask(slice(self._settled, None), slice(None), levels, changed=ends is not None)
        positions = None if self._positions is None else self._positions[:, self._settled :]
        x = torch.cat([self._rest, canvas], dim=1)
        hidden = self._trunk.decode(x, self._cache, mask, positions)
        if self._last is not None:
            return torch.cat([self._last, hidden], dim=1)
        return hidden[:, -canvas.shape[1] - 1 :]

    def _run_settled(self, x: Tensor) -> tuple[PrefixCache, Tensor | None]:
        """Keys and values of the settled positions; the last one's hidden state where it is the prompt's last."""
        if not self._settled:
            return PrefixCache(), None
        within = slice(0, self._settled)
        positions = None if self._positions is None else self._positions[:, within]
        hidden, cache = self._trunk.extend(x, PrefixCache(), self._mask(within, within, self._levels), positions)
        return cache, hidden[:, -1:] if self._settled == self._prompt else None

    def _mask(self, queries: slice, keys: slice, levels: Levels, changed: bool = False) -> Tensor | None:
        """None where it would hide nothing, found out without asking the device."""
        if self._positions is None and not changed:
            common = self._common[queries, keys]
            return None if bool(common.all()) else common.to(self._levels.level.device)
        return visibility(levels, self._attention, queries)[..., keys]


def padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Rows `[L_i, ...]` as one tensor `[B, L, ...]`, zero at the left, and where it is padding, as in `Prompts`."""
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    together = pad_sequence(list(rows), batch_first=True, padding_side="left")
    longest = together.shape[1]
    if all(len(row) == longest for row in rows):
        return together, None
    return together, torch.arange(longest, device=lengths.device) < longest - lengths.unsqueeze(1)


def joined_padding(padding: Tensor | None, behind: int) -> Tensor | None:
    """The padding of a sequence with so many positions more behind it."""
    return None if padding is None else functional.pad(padding, (0, behind))


def _settled(prompts: Prompts, attention: str) -> int:
    levels = Levels.of(prompts.blocks)
    return next((length for length in prompts.settled if prefix_is_exact(levels, attention, length)), 0)


@lru_cache(maxsize=8)
def _visible_to_all(blocks: tuple[Block, ...], attention: str) -> Tensor:
    return visibility(Levels.of(blocks), attention)


def _rows(levels: Levels, times: int) -> Levels:
    if levels.level.ndim == 1:
        return levels
    parts = (levels.level, levels.block, levels.causal, levels.padding)
    return Levels(*(part.repeat_interleave(times, dim=0) for part in parts))
