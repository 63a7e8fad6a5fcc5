"""Where FAST ids stand in the vocabulary of a published language model: counted down from its end."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.errors import ActionError

_EMU3_PAD = 151643  # <|endoftext|>; the ordinary text tokens end right before it
_PALIGEMMA_SKIPPED = 128  # special tokens at the end, which pi0-FAST leaves alone


@dataclass(frozen=True)
class FastVocabulary:
    """FAST id i is the token top - i.

    Attributes:
        top: Token of FAST id 0.
        num_ids: FAST ids 0..num_ids-1.
    """

    top: int
    num_ids: int

    @classmethod
    def emu3(cls, num_ids: int = 1024) -> "FastVocabulary":
        """That of UniVLA, UD-VLA and DFM-VLA: token = 151642 - id."""
        return cls(_EMU3_PAD - 1, num_ids)

    @classmethod
    def paligemma(cls, vocabulary: int, num_ids: int = 2048) -> "FastVocabulary":
        """That of pi0-FAST: token = vocabulary - 1 - 128 - id, with `vocabulary` the text tokenizer's size."""
        return cls(vocabulary - 1 - _PALIGEMMA_SKIPPED, num_ids)

    @property
    def tokens(self) -> range:
        """The tokens that stand for a FAST id, ascending."""
        return range(self.top - self.num_ids + 1, self.top + 1)

    @property
    def released_tokens(self) -> range:
        """What UD-VLA's released decoding allows: one more at the low end, whose FAST id `num_ids` does not exist."""
        return range(self.top - self.num_ids, self.top + 1)

    def to_vocabulary(self, ids: ArrayLike) -> NDArray[np.int64]:
        """FAST ids of any shape to tokens.

        Raises:
            ActionError: An id is not in 0..num_ids-1.
        """
        index = np.asarray(ids, dtype=np.int64)
        if index.size and (index.min() < 0 or index.max() >= self.num_ids):
            raise ActionError(f"FAST ids must be 0..{self.num_ids - 1}, got {index.min()}..{index.max()}.")
        return np.asarray(self.top - index, dtype=np.int64)

    def from_vocabulary(self, tokens: ArrayLike) -> NDArray[np.int64]:
        """Tokens of any shape to FAST ids; others than `tokens` get ids that `FastTokenizer.decode` flags."""
        return np.asarray(self.top - np.asarray(tokens, dtype=np.int64), dtype=np.int64)
