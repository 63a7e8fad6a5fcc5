"""What a decoder carries from step to step, and what a step leaves behind for the trace."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor


class Scores(NamedTuple):
    """What the network says of a canvas.

    Attributes:
        logits: float `[B, L, V]` over the clean tokens.
        rates: float `[B, L, V]`, non-negative replacement rates; only of a network with a rate head (DFM-VLA).
    """

    logits: Tensor
    rates: Tensor | None = None


@dataclass(frozen=True)
class DecodeState:
    """The canvas in the middle of decoding.

    Attributes:
        tokens: int64 `[B, L]`; still masked positions hold the canvas' mask token.
        confidence: float32 `[B, L]`, probability of each token when it was committed; 1 where fixed, 0 where masked.
        frozen: bool `[B, L]`, positions fixed by the caller or prefilled; no step changes them.
        undecided: bool `[B, L]`, positions that a further step may still change: the masked ones of a decoder that
            never looks back. The loop may end when there are none, and takes the arg-max there at a deadline.
        num_steps: Denoising steps that complete every chunk of the batch.
        first: bool `[L]`, positions that are to be decided before all others, where the decoder has a choice; None
            where it is free. The loop sets it when decoding may end with them.
    """

    tokens: Tensor
    confidence: Tensor
    frozen: Tensor
    undecided: Tensor
    num_steps: int
    first: Tensor | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class StepTrace:
    """One denoising step of a batch; the fields are those of `policies.base.DenoisingStep`, batched.

    Attributes:
        tokens: int64 `[B, L]` after the step; still masked positions hold the mask token.
        confidence: float32 `[B, L]`, probability that this step's logits give the token proposed or held;
            1 where fixed.
        committed: bool `[B, L]`, positions that received their token in this step.
        remasked: bool `[B, L]`, positions that lost their token in this step.
        frozen: bool `[B, L]`, positions fixed by the caller or prefilled.
    """

    tokens: Tensor
    confidence: Tensor
    committed: Tensor
    remasked: Tensor
    frozen: Tensor

    def arrays(self, row: int) -> dict[str, np.ndarray[Any, Any]]:
        """The step of one chunk of the batch, as keyword arguments of `policies.base.DenoisingStep`."""
        return {
            "tokens": self.tokens[row].cpu().numpy().astype(np.int32),
            "confidence": self.confidence[row].cpu().numpy().astype(np.float32),
            "committed": self.committed[row].cpu().numpy(),
            "remasked": self.remasked[row].cpu().numpy(),
            "frozen": self.frozen[row].cpu().numpy(),
        }
