"""Who sees whom: positions have levels, and a variant says what the levels mean.

UD-VLA's paper lets a query see a key iff the key's level is not higher; its released weights were trained with another
mask, and Discrete Diffusion VLA and LLaDA with none. All are functions of the same description of a sequence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dvla_ros.errors import ConfigurationError


@dataclass(frozen=True)
class Block:
    """Neighbouring positions of one kind, such as the instruction, one camera's image or the action chunk.

    Attributes:
        length: Number of positions.
        level: What comes first has level 0; blocks of one level, such as the images of one moment, share a number.
        causal: Whether it is text, read from the left to the right; otherwise its positions see each other.

    Raises:
        ConfigurationError: `length` or `level` is negative.
    """

    length: int
    level: int
    causal: bool = False

    def __post_init__(self) -> None:
        if min(self.length, self.level) < 0:
            raise ConfigurationError(f"A block needs a length and a level of 0 or more, got {self}.")


@dataclass(frozen=True)
class Levels:
    """The level and kind of every position; `[L]`, or `[B, L]` where rows differ.

    Attributes:
        level: int64, see `Block`.
        block: int64, number of the block in the sequence.
        causal: bool, True for text.
        padding: bool, True for positions that nobody is to see.
    """

    level: Tensor
    block: Tensor
    causal: Tensor
    padding: Tensor

    @classmethod
    def of(cls, blocks: Sequence[Block], device: torch.device | str = "cpu") -> "Levels":
        """The sequence of these blocks, without padding."""
        lengths = torch.tensor([block.length for block in blocks], device=device)
        per_block = (
            torch.tensor([block.level for block in blocks], device=device),
            torch.arange(len(blocks), device=device),
            torch.tensor([block.causal for block in blocks], device=device),
        )
        total = sum(block.length for block in blocks)  # said, so that the device is not asked
        level, block, causal = (value.repeat_interleave(lengths, output_size=total) for value in per_block)
        return cls(level, block, causal, torch.zeros_like(causal))

    def with_padding(self, padding: Tensor) -> "Levels":
        """The same with padding bool `[L]` or `[B, L]`."""
        return self._rows_of(padding, padding=padding)

    def ending_after(self, is_end: Tensor) -> "Levels":
        """The same with everything behind the first end as one more block: text, and of a level above all others.

        In UD-VLA a committed end-of-action token ends the action block; what follows it sees all, unseen by all before.

        Args:
            is_end: bool `[L]` or `[B, L]`, True where an end token is committed.
        """
        is_tail = is_end.long().cumsum(-1) - is_end.long() > 0
        return self._rows_of(
            is_end,
            level=torch.where(is_tail, self.level.max() + 1, self.level),
            block=torch.where(is_tail, self.block.max() + 1, self.block),
            causal=self.causal | is_tail,
        )

    def _rows_of(self, example: Tensor, **changes: Tensor) -> "Levels":
        changed = replace(self, **changes)
        shape = torch.broadcast_shapes(self.level.shape, example.shape)
        return Levels(*(t.expand(shape) for t in (changed.level, changed.block, changed.causal, changed.padding)))


ALL = slice(None)


def full(levels: Levels, queries: slice = ALL) -> Tensor:
    """Everybody sees everybody: released Discrete Diffusion VLA, LLaDA-V."""
    anybody = torch.ones_like(levels.causal)
    return anybody[..., queries].unsqueeze(-1) & anybody.unsqueeze(-2)


def merged(levels: Levels, queries: slice = ALL) -> Tensor:
    """Released UD-VLA: a new block begins only where text and images meet, so that images and actions are one."""
    turns = levels.causal[..., 1:] != levels.causal[..., :-1]
    run = torch.cat([torch.zeros_like(levels.level[..., :1]), turns.long().cumsum(-1)], dim=-1)
    return _earlier_or_own(run, levels.causal, queries)


def block_causal(levels: Levels, queries: slice = ALL) -> Tensor:
    """UD-VLA's paper, and our own models: a query sees the keys of its own level and below."""
    return _earlier_or_own(levels.level, levels.causal, queries)


def image_causal_first(levels: Levels, queries: slice = ALL) -> Tensor:
    """UD-VLA's third variant: images of the first moment see only those before them, later ones and actions all later.

    Causal throughout, but for two things: a block that is not text sees itself, and all such blocks above the lowest
    such level see each other.
    """
    not_text = ~levels.causal
    lowest = levels.level.masked_fill(levels.causal, torch.iinfo(torch.int64).max).amin(-1, keepdim=True)
    later = not_text & (levels.level > lowest)
    same_block = levels.block[..., queries].unsqueeze(-1) == levels.block.unsqueeze(-2)
    own = same_block & not_text[..., queries].unsqueeze(-1)
    return _not_after(levels.causal, queries) | own | (later[..., queries].unsqueeze(-1) & later.unsqueeze(-2))


def _earlier_or_own(group: Tensor, causal: Tensor, queries: slice) -> Tensor:
    """Groups below, and the query's own: the whole of it, or what is not after the query where it is text."""
    query, key = group[..., queries].unsqueeze(-1), group.unsqueeze(-2)
    within = ~causal[..., queries].unsqueeze(-1) | _not_after(causal, queries)
    return (key < query) | ((key == query) & within)


def _not_after(positions: Tensor, queries: slice) -> Tensor:
    """Bool `[Lq, L]`, True where the key (column) is not after the query (row)."""
    index = torch.arange(positions.shape[-1], device=positions.device)
    return index <= index[queries].unsqueeze(-1)


VARIANTS: dict[str, Callable[[Levels, slice], Tensor]] = {
    "full": full,
    "merged": merged,
    "block_causal": block_causal,
    "image_causal_first": image_causal_first,
}


def visibility(levels: Levels, variant: str, queries: slice = ALL) -> Tensor:
    """Which query (row) sees which key (column), bool `[Lq, L]` or `[B, Lq, L]`; does not wait for the device.

    Nobody sees padding, except that padding sees itself: a query without any key would have no softmax.

    Raises:
        ConfigurationError: There is no such variant.
    """
    if variant not in VARIANTS:
        raise ConfigurationError(f"Unknown attention variant '{variant}'; choose one of {sorted(VARIANTS)}.")
    index = torch.arange(levels.padding.shape[-1], device=levels.padding.device)
    itself = index[queries].unsqueeze(-1) == index
    hidden = levels.padding.unsqueeze(-2)
    return (VARIANTS[variant](levels, queries) & ~hidden) | (itself & hidden)


def attention_mask(levels: Levels, variant: str, queries: slice = ALL, keys: slice = ALL) -> Tensor | None:
    """The mask for some queries over some keys, ready for `Trunk`.

    Looks at values, so make it once per sequence and not once per denoising step.

    Args:
        levels: Of the whole sequence.
        variant: One of `VARIANTS`.
        queries: Positions that are run, such as the canvas.
        keys: Positions they may see, such as prefix and canvas.

    Returns:
        Bool `[Lq, Lk]` or `[B, Lq, Lk]`, True where a query sees a key; None where every query sees every key.

    Raises:
        ConfigurationError: There is no such variant.
    """
    mask = visibility(levels, variant, queries)[..., keys]
    return None if bool(mask.all()) else mask


def prefix_is_exact(levels: Levels, variant: str, prefix_length: int) -> bool:
    """Whether no prefix position sees a later one, so that a cached prefix is exact and not an approximation."""
    return not bool(visibility(levels, variant, slice(0, prefix_length))[..., prefix_length:].any())


def rows_that_differ(levels: Levels, variant: str, settled: int, last: int) -> int:
    """How many of the positions behind the settled ones need rows of a mask: the last ones, or all.

    Looks at values. Where those before the `last` positions see everything but these, they need none, see `Trunk`.
    """
    before = levels.level.shape[-1] - last
    seen = visibility(levels, variant, slice(settled, before))
    alike = bool(seen[..., :before].all()) and not bool(seen[..., before:].any())
    return last if alike else last + before - settled


def all_rows(mask: Tensor, queries: int) -> Tensor:
    """A mask that has the rows of the last queries alone, see `Trunk`, with those of all `[.., queries, K]`."""
    given, keys = mask.shape[-2:]
    if given == queries:
        return mask
    above = torch.arange(keys, device=mask.device) < keys - given
    return torch.cat([above.expand(*mask.shape[:-2], queries - given, -1), mask], dim=-2)


def causal_mask(queries: int, keys: int, device: torch.device | str = "cpu") -> Tensor | None:
    """The mask of the last `queries` of `keys` positions, each seeing what is not after it; None for a single query."""
    if queries == 1:
        return None
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)
