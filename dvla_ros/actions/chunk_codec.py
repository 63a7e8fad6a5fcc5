"""What a policy knows of how an action chunk becomes tokens."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.errors import ActionError


@dataclass(frozen=True)
class DecodedChunk:
    """What the tokens of a chunk decode to.

    Attributes:
        actions: float32 `[H, D]` in physical units; all NaN where the tokens give no chunk: hold the last command then.
            The control side rejects NaN, so a caller who forgets to look moves nothing.
        malformed: The tokens are not what `encode` writes, even where `actions` could be repaired; count these.
        reason: What is wrong with them; empty when nothing is.
    """

    actions: NDArray[np.float32]
    malformed: bool = False
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether `actions` are numbers."""
        return bool(np.isfinite(self.actions).all())

    @classmethod
    def unusable(cls, horizon: int, dim: int, reason: str) -> "DecodedChunk":
        """No chunk, and why."""
        return cls(np.full((horizon, dim), np.nan, dtype=np.float32), malformed=True, reason=reason)


class ChunkCodec(Protocol):
    """Action chunks in physical units to a fixed number of tokens and back."""

    @property
    def vocabulary(self) -> int:
        """Number of token ids, 0..V-1; a decoder's MASK is V and never comes here."""
        ...

    @property
    def length(self) -> int:
        """Token positions per chunk, L."""
        ...

    @property
    def horizon(self) -> int:
        """Actions in a chunk, H."""
        ...

    @property
    def dim(self) -> int:
        """Numbers in an action, D."""
        ...

    def encode(self, actions: ArrayLike) -> NDArray[np.int64]:
        """Physical chunks `[..., H, D]` to tokens int64 `[..., L]`.

        Raises:
            ActionError: Another H or D, or a number that is not finite.
        """
        ...

    def decode(self, tokens: ArrayLike) -> DecodedChunk:
        """Tokens `[L]` to a physical chunk.

        Raises:
            ActionError: Another L, or a token outside the vocabulary (a mask token among them): the caller's mistake.
                What a network may rightly answer is never an error but at worst a malformed chunk.
        """
        ...


def checked_chunks(actions: ArrayLike, codec: ChunkCodec) -> NDArray[np.float64]:
    """Chunks `[..., H, D]` as float64, with their shape checked for `ChunkCodec.encode`."""
    array = np.asarray(actions, dtype=np.float64)
    if array.shape[-2:] != (codec.horizon, codec.dim):
        raise ActionError(f"Chunks must have the shape [..., {codec.horizon}, {codec.dim}], got {list(array.shape)}.")
    return array


def checked_tokens(tokens: ArrayLike, codec: ChunkCodec) -> NDArray[np.int64]:
    """Tokens `[L]` as int64, with shape and range checked for `ChunkCodec.decode`."""
    row = np.asarray(tokens, dtype=np.int64)
    if row.shape != (codec.length,):
        raise ActionError(f"A chunk has {codec.length} tokens, got the shape {list(row.shape)}.")
    if row.min() < 0 or row.max() >= codec.vocabulary:
        raise ActionError(f"Action tokens must be 0..{codec.vocabulary - 1}, got {row.min()}..{row.max()}.")
    return row
