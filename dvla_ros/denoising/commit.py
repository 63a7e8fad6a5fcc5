"""Committing for good: the step of every decoder that never looks back."""

from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from dvla_ros.denoising.state import DecodeState, StepTrace

StateT = TypeVar("StateT", bound=DecodeState)


def commit(state: StateT, chosen: Tensor, proposal: Tensor, probability: Tensor) -> tuple[StateT, StepTrace]:
    """Give the chosen positions their proposed tokens; they are decided from then on.

    Args:
        state: Before the step.
        chosen: bool `[B, L]`, a part of `state.undecided`.
        proposal: int64 `[B, L]`, the token proposed where undecided, the one held elsewhere.
        probability: float `[B, L]`, of the proposal.
    """
    tokens = torch.where(chosen, proposal, state.tokens)
    after = replace(
        state,
        tokens=tokens,
        confidence=torch.where(chosen, probability, state.confidence),
        undecided=state.undecided & ~chosen,
    )
    shown = probability.masked_fill(state.frozen, 1.0)
    return after, StepTrace(tokens, shown, chosen, torch.zeros_like(chosen), state.frozen)
