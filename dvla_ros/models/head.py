"""Logits over a part of the vocabulary: an action position needs 256 or 1025 rows of the head, never all 184 622."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional

from dvla_ros.errors import ConfigurationError


@dataclass(frozen=True)
class TokenRows:
    """Rows of a vocabulary, in the order in which their logits are wanted.

    Position i of the logits belongs to `ids[i]`: this is how a canvas that counts from 0 meets the model's own ids.

    Attributes:
        ids: Different ids of 0 or more.

    Raises:
        ConfigurationError: No ids, a negative one, or one twice.
    """

    ids: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.ids or min(self.ids) < 0 or len(set(self.ids)) != len(self.ids):
            raise ConfigurationError(f"Token rows must be different ids of 0 or more, got {_shortened(self.ids)}.")

    @classmethod
    def of(cls, *parts: range | int) -> "TokenRows":
        """Ranges and single ids, one behind the other."""
        return cls(tuple(chain.from_iterable((part,) if isinstance(part, int) else part for part in parts)))

    @cached_property
    def runs(self) -> tuple[slice, ...]:
        """The ids as slices of neighbouring rows."""
        return _runs(self.ids)


class SlicedHead(nn.Module):
    """The output projection of a language model, asked for some rows at a time.

    The rows are views of the weight, one multiplication for each run of neighbouring ids: nothing is copied, and tied
    or trained weights stay in step.

    Attributes:
        weight: `[V, W]`, in published weights `lm_head.weight`; may be the embedding's own parameter (tied).
        bias: `[V]` or None.
    """

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None = None) -> None:
        super().__init__()
        self.weight = weight
        self.bias = bias

    def forward(self, hidden: Tensor, rows: TokenRows) -> Tensor:
        """Logits `[..., len(rows.ids)]` of hidden states `[..., W]`.

        Raises:
            ConfigurationError: An id is not in the vocabulary.
        """
        if (last := max(run.stop for run in rows.runs)) > len(self.weight):
            raise ConfigurationError(f"Token id {last - 1} is not in the vocabulary of {len(self.weight)}.")
        logits = [self._logits(hidden, run) for run in rows.runs]
        return logits[0] if len(logits) == 1 else torch.cat(logits, dim=-1)

    def _logits(self, hidden: Tensor, run: slice) -> Tensor:
        return functional.linear(hidden, self.weight[run], None if self.bias is None else self.bias[run])


def _runs(ids: Sequence[int]) -> tuple[slice, ...]:
    starts = [i for i, token in enumerate(ids) if i == 0 or token != ids[i - 1] + 1]
    return tuple(slice(ids[a], ids[b - 1] + 1) for a, b in zip(starts, [*starts[1:], len(ids)], strict=True))


def _shortened(ids: Sequence[int]) -> str:
    return str(list(ids)) if len(ids) <= 8 else f"{len(ids)} ids from {min(ids)} to {max(ids)}"
