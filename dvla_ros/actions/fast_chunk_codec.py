"""Chunks of FAST tokens in a fixed number of positions: UD-VLA, DFM-VLA."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.actions.chunk_codec import DecodedChunk, checked_chunks, checked_tokens
from dvla_ros.actions.fast import FastTokenizer
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.errors import ActionError, ConfigurationError

Padding = Literal["eoa", "pad"]
Overflow = Literal["raise", "truncate"]

_WILDEST = 2.0  # normalised; a wrong coefficient overshoots -1..1 a little, only nonsense by as much as this


@dataclass(frozen=True)
class FastChunkCodec:
    """Normalise, encode by FAST, close with EOA, pad to L.

    The ids are FAST's own, then EOA, then PAD where `padding` wants one. A chunk of exactly L FAST ids has no EOA.

    Attributes:
        normalizer: Physical units to -1..1, in UD-VLA for all columns, the gripper among them.
        tokenizer: Of the same columns.
        length: L; UD-VLA's 70 slots are the prefilled BOA and these 69.
        padding: What follows EOA: more EOA, or a PAD token of its own (unpublished, so it is a choice).
        overflow: A chunk of more than L FAST ids is refused, or truncated: then its highest frequencies are lost and
            it decodes as malformed. `fast_lengths` tells how many there are.
        repair: See `FastTokenizer.decode`.
        clip: Keep decoded values of normalised columns within -1..1, where the data were; the released code does not.

    Raises:
        ConfigurationError: `length` is not positive, a choice is unknown, or normaliser and tokenizer differ in D.
    """

    normalizer: Normalizer
    tokenizer: FastTokenizer
    length: int
    padding: Padding = "eoa"
    overflow: Overflow = "raise"
    repair: bool = True
    clip: bool = True

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ConfigurationError(f"length must be at least 1, got {self.length}.")
        for name, allowed in (("padding", Padding), ("overflow", Overflow)):
            if getattr(self, name) not in get_args(allowed):
                raise ConfigurationError(f"{name} must be one of {get_args(allowed)}, got {getattr(self, name)!r}.")
        if self.normalizer.dim != self.tokenizer.action_dim:
            raise ConfigurationError(
                f"The normaliser has {self.normalizer.dim} columns, the tokenizer {self.tokenizer.action_dim}."
            )

    @property
    def eoa(self) -> int:
        """The token that ends the actions."""
        return self.tokenizer.vocabulary

    @property
    def pad(self) -> int:
        """The token that fills the positions after EOA."""
        return self.eoa + (self.padding == "pad")

    @property
    def vocabulary(self) -> int:
        """Number of token ids: FAST's, EOA and perhaps PAD."""
        return self.pad + 1

    @property
    def horizon(self) -> int:
        """Actions in a chunk, H."""
        return self.tokenizer.horizon

    @property
    def dim(self) -> int:
        """Numbers in an action, D."""
        return self.tokenizer.action_dim

    def encode(self, actions: ArrayLike) -> NDArray[np.int64]:
        """See `ChunkCodec.encode`.

        Raises:
            ActionError: Also for a chunk of more than L FAST ids, if `overflow` is `raise`.
        """
        chunks = checked_chunks(actions, self)
        sequences = self._fast_ids(chunks)
        longest = max(map(len, sequences), default=0)
        if longest > self.length and self.overflow == "raise":
            raise ActionError(f"A chunk takes {longest} FAST ids, there are {self.length} positions; raise `length`.")
        rows = np.full((len(sequences), self.length + 1), self.pad, dtype=np.int64)
        for row, ids in zip(rows, sequences, strict=True):
            kept = ids[: self.length]
            row[: len(kept) + 1] = [*kept, self.eoa]
        return rows[:, :-1].reshape(*chunks.shape[:-2], self.length)

    def fast_lengths(self, actions: ArrayLike) -> NDArray[np.int64]:
        """FAST ids that each of the physical chunks `[..., H, D]` takes, int64 `[...]`, to choose L by.

        Raises:
            ActionError: As for `ChunkCodec.encode`.
        """
        chunks = checked_chunks(actions, self)
        lengths = np.array([len(ids) for ids in self._fast_ids(chunks)], dtype=np.int64)
        return lengths.reshape(chunks.shape[:-2])

    def decode(self, tokens: ArrayLike) -> DecodedChunk:
        """See `ChunkCodec.decode`; what follows the first EOA is ignored, without one all positions count."""
        row = checked_tokens(tokens, self)
        ends = np.flatnonzero(row >= self.eoa)
        end = int(ends[0]) if ends.size else self.length
        decoded = self.tokenizer.decode(row[:end].tolist(), repair=self.repair)
        if not decoded.usable:
            return DecodedChunk.unusable(self.horizon, self.dim, decoded.reason)
        mask = self.normalizer.mask
        wildest = float(np.abs(decoded.actions * mask).max())
        if wildest > _WILDEST:
            reason = f"a normalised action of {wildest:.3g}, the data end at 1"
            return DecodedChunk.unusable(self.horizon, self.dim, reason)
        reason = decoded.reason
        if not reason and end < self.length and row[end] != self.eoa:
            reason = "padding without an end of actions"
        clipped = np.where(mask & self.clip, np.clip(decoded.actions, -1.0, 1.0), decoded.actions)
        return DecodedChunk(self.normalizer.unnormalize(clipped).astype(np.float32), bool(reason), reason)

    def _fast_ids(self, chunks: NDArray[np.float64]) -> list[list[int]]:
        normalized = self.normalizer.normalize(chunks)
        return self.tokenizer.encode_batch(normalized.reshape(math.prod(chunks.shape[:-2]), self.horizon, self.dim))
