"""Training examples, in the layout the networks read, and what an objective makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Targets:
    """What a network is to say about each frame of the demonstrations; each `None` where its system has no use for it.

    Attributes:
        actions: float32 `[N, H, D]` normalised.
        tokens: int64 `[N, L]`, complete canvases.
        seen: int64 `[N, ...]`, tokens of the image segments as the present is.
        reasoning: int64 `[N, R]`, tokens of what to say first, padded with -1.
    """

    actions: Tensor
    tokens: Tensor | None = None
    seen: Tensor | None = None
    reasoning: Tensor | None = None

    def rows(self, index: Tensor) -> "Targets":
        """The targets of some frames."""
        parts = (self.tokens, self.seen, self.reasoning)
        return Targets(self.actions[index], *(None if part is None else part[index] for part in parts))


@dataclass(frozen=True)
class Batch:
    """Observations and what is to be said of them.

    Attributes:
        images: uint8, or float in 0..255, `[B, C, 3, h, w]`.
        text: `[B, T, 384]`.
        state: `[B, S]` normalised.
        pixels: `[B, C, 2, 2]` in 0..1, as in `training.demonstrations.Frame`; NaN where not known.
        points: `[B, 2, 3]` likewise, but in the units of the normalised state's x, y, z.
        targets: Of these B frames.
        frozen: int64 `[B]`, leading actions that were being executed already; None when there are none.
        moved: `[B, 3]`, how far those take the gripper, in the units of the normalised state's x, y, z; None: nowhere.
    """

    images: Tensor
    text: Tensor
    state: Tensor
    pixels: Tensor
    points: Tensor
    targets: Targets
    frozen: Tensor | None = None
    moved: Tensor | None = None


@dataclass(frozen=True)
class Losses:
    """Scalar tensors: the weighted sum, and its unweighted parts by name."""

    total: Tensor
    parts: Mapping[str, Tensor]


class Objective(Protocol):
    """What a system is trained on."""

    def __call__(self, model: Any, batch: Batch, generator: torch.Generator) -> Losses:
        """All losses of one batch; `generator` draws the corruption."""
        ...
