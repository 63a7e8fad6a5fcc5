"""Questions to a token policy that one run of the decoder answers: a row of the batch for each."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import FREE, WarmStart
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.policies.row_tokens import RowTokens


@dataclass(frozen=True)
class Asked:
    """One question, read.

    Attributes:
        inputs: The observation as the network takes it.
        request: As it was asked.
        trained: The same with the gripper as the network was taught it.
        prepared_s: How long reading took.
    """

    inputs: Any
    request: ChunkRequest
    trained: ChunkRequest
    prepared_s: float

    def kind(self, inputs: Hashable, one_length: bool) -> Hashable:
        """What questions must have in common to be answered together.

        Args:
            inputs: What their inputs must have in common, see `BatchNetwork.alike`.
            one_length: Whether the number of frozen rows is among it, as where guidance leads through them.
        """
        request = self.request
        frozen = len(request.frozen) if one_length else 0
        return inputs, frozen, request.guess is None, request.needed_steps, request.deadline_s


def frozen_tokens(rows: RowTokens, asked: Sequence[Asked]) -> Tensor | None:
    """The frozen tokens of all rows, int64 `[B, L]`; None where nothing is frozen."""
    return _stacked([rows.frozen(each.trained.frozen) for each in asked], FREE)


def warm_start(rows: RowTokens, asked: Sequence[Asked]) -> WarmStart | None:
    """The guesses of all rows; None where nothing is guessed."""
    guesses = [rows.guess(each.trained) for each in asked]
    tokens = _stacked([None if guess is None else guess.tokens for guess in guesses], FREE)
    confidence = _stacked([None if guess is None else guess.confidence for guess in guesses], 0.0)
    return None if tokens is None or confidence is None else WarmStart(tokens, confidence)


def _stacked(rows: Sequence[Tensor | None], nothing: float) -> Tensor | None:
    """Rows `[1, L]` one below the other, `nothing` where there is none; None where there is none at all."""
    example = next((row for row in rows if row is not None), None)
    if example is None:
        return None
    return torch.cat([torch.full_like(example, nothing) if row is None else row for row in rows])
