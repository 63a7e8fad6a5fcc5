"""The canvas that decoding starts from, with the surest part of a guess on it where there is one."""

from typing import NamedTuple

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import FREE, Canvas, WarmStart
from dvla_ros.denoising.sampling import lowest
from dvla_ros.errors import ActionError

_ROUND_OFF = 1e-9  # keeps floor() from losing a token where the product is a whole number but for rounding


class StartingCanvas(NamedTuple):
    """A canvas before the first step.

    Attributes:
        tokens: int64 `[B, L]`, MASK where neither given nor guessed.
        confidence: float32 `[B, L]`: 1 where given, the guess' where guessed, 0 where masked.
        frozen: bool `[B, L]`, given positions; guessed ones are not among them.
        masked: bool `[B, L]`, positions that hold MASK.
    """

    tokens: Tensor
    confidence: Tensor
    frozen: Tensor
    masked: Tensor


def starting_canvas(
    canvas: Canvas,
    *,
    batch_size: int,
    frozen_tokens: Tensor | None,
    warm_start: WarmStart | None,
    keep: float,
    device: torch.device,
) -> StartingCanvas:
    """Everything MASK but the given positions and the kept share of the guessed ones, the most confident first.

    Args:
        canvas: What is being generated.
        batch_size: B.
        frozen_tokens: int64 `[B, L]`, `FREE` where nothing is given; None gives nothing.
        warm_start: A guess; where it overlaps given positions, those count.
        keep: Share of the guessed positions of each row that is kept, rounded down.
        device: Where the canvas lives.

    Raises:
        ActionError: Frozen tokens or guess have the wrong shape or an unknown id, or a confidence is not in 0..1.
    """
    tokens, frozen = canvas.initial(batch_size, frozen_tokens, device)
    if warm_start is None:
        return StartingCanvas(tokens, frozen.float(), frozen, tokens == canvas.mask_token)
    guess = usable_guess(canvas, warm_start, frozen)
    guessed = guess.tokens != FREE
    count = guessed.sum(dim=-1, keepdim=True)
    kept_count = torch.floor(count.double() * keep + _ROUND_OFF).long()
    kept = guessed & ~lowest(guess.confidence, guessed, count - kept_count)
    tokens = torch.where(kept, guess.tokens, tokens)
    confidence = torch.where(kept, guess.confidence, frozen.float())
    return StartingCanvas(tokens, confidence, frozen, tokens == canvas.mask_token)


def usable_guess(canvas: Canvas, warm_start: WarmStart | None, frozen: Tensor) -> WarmStart:
    """The part of a guess that is not about given positions, on their device.

    Args:
        canvas: What is being generated.
        warm_start: A guess; None for none.
        frozen: bool `[B, L]`, given positions.

    Returns:
        A guess for the batch: `FREE` with confidence 0 where there is none.

    Raises:
        ActionError: The guess has the wrong shape or an unknown id, or a confidence is not in 0..1.
    """
    if warm_start is None:
        return WarmStart(torch.full(frozen.shape, FREE, device=frozen.device), torch.zeros_like(frozen.float()))
    _check(canvas, warm_start, frozen.shape[0])
    tokens = warm_start.tokens.to(frozen.device, torch.int64).masked_fill(frozen, FREE)
    confidence = warm_start.confidence.to(frozen.device, torch.float32)
    return WarmStart(tokens, confidence.masked_fill(tokens == FREE, 0.0))


def _check(canvas: Canvas, warm_start: WarmStart, batch_size: int) -> None:
    canvas.check_ids(warm_start.tokens, batch_size, "The guess of a warm start")
    expected, got = list(warm_start.tokens.shape), list(warm_start.confidence.shape)
    if got != expected:
        raise ActionError(f"The guess of a warm start needs confidences of shape {expected}, got {got}.")
    if not bool(((warm_start.confidence >= 0) & (warm_start.confidence <= 1)).all()):
        raise ActionError("The confidences of a warm start must be in 0..1; some are not, or are NaN.")
