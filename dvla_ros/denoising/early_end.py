"""Where decoding ended, remembered on the device, so that the host need not ask after every step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.denoising.state import DecodeState, Scores


@dataclass(frozen=True)
class Outcome:
    """The canvas after the step that decided what was awaited, or after the latest one.

    Attributes:
        tokens: int64 `[B, L]`.
        confidence: float32 `[B, L]`.
        undecided: bool `[B, L]`.
        logits: float `[B, L, V]` of that step; None where nothing awaited can be left undecided.
        steps: int64 `[]`, how many steps that took.
    """

    tokens: Tensor
    confidence: Tensor
    undecided: Tensor
    logits: Tensor | None
    steps: Tensor


class EarlyEnd:
    """Follows the steps without waiting for the device; those behind the end do not change the outcome.

    Args:
        awaited: bool `[L]`, positions whose being undecided in any row keeps decoding going.
        fills: Whether other positions may be undecided at the end, so that the logits are needed.
    """

    def __init__(self, awaited: Tensor, fills: bool) -> None:
        self._awaited, self._fills = awaited, fills
        self._outcome: Outcome | None = None
        self._over: Tensor | None = None

    @property
    def outcome(self) -> Outcome:
        """Of the steps so far, of which there must be one."""
        assert self._outcome is not None
        return self._outcome

    def follow(self, state: DecodeState, scores: Scores) -> None:
        """After a step from these scores to this state."""
        over = ~(state.undecided & self._awaited).any()
        logits = scores.logits if self._fills else None
        if self._outcome is None or self._over is None:
            steps = torch.ones_like(over, dtype=torch.int64)
            self._outcome, self._over = Outcome(state.tokens, state.confidence, state.undecided, logits, steps), over
            return
        held, ended = self._outcome, self._over
        self._outcome = Outcome(
            torch.where(ended, held.tokens, state.tokens),
            torch.where(ended, held.confidence, state.confidence),
            torch.where(ended, held.undecided, state.undecided),
            None if logits is None or held.logits is None else torch.where(ended, held.logits, logits),
            held.steps + ~ended,
        )
        self._over = ended | over

    def is_over(self) -> bool:
        """Whether all that is awaited was decided after some step; waits for the device."""
        return self._over is not None and bool(self._over)
