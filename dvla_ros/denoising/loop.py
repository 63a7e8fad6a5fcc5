"""The one denoising loop: a decoder never sees the network, the network never sees the schedule."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.state import DecodeState, StepTrace
from dvla_ros.errors import ActionError, ConfigurationError

LogitsFn = Callable[[Tensor], Tensor]
StateT = TypeVar("StateT", bound=DecodeState)


class Denoiser(Protocol[StateT]):
    """A decoding algorithm.

    `start` may look at tensor values; `step` must not wait for the device, so that it can be captured in a graph.
    """

    def start(self, canvas: Canvas, *, batch_size: int, frozen_tokens: Tensor | None, device: torch.device) -> StateT:
        """The state before the first step, with the number of steps this batch needs."""
        ...

    def step(self, index: int, state: StateT, logits: Tensor, generator: torch.Generator) -> tuple[StateT, StepTrace]:
        """One denoising step from logits `[B, L, V]` of `state.tokens`; leaves no MASK after the last one."""
        ...


@dataclass(frozen=True)
class DenoisingResult:
    """A complete canvas.

    Attributes:
        tokens: int64 `[B, L]`, no mask token among them.
        confidence: float32 `[B, L]`, probability of each token when it was committed; 1 where fixed.
        trace: One entry per denoising step; empty when it was not asked for.
        nfe: Network function evaluations.
        filled: bool `[B, L]`, positions that were still masked at the deadline and took the arg-max of the last
            logits. They are not in the trace.
    """

    tokens: Tensor
    confidence: Tensor
    trace: tuple[StepTrace, ...]
    nfe: int
    filled: Tensor


@torch.no_grad()
def denoise(
    logits_fn: LogitsFn,
    canvas: Canvas,
    denoiser: Denoiser[StateT],
    *,
    batch_size: int,
    generator: torch.Generator,
    frozen_tokens: Tensor | None = None,
    deadline_s: float | None = None,
    keep_trace: bool = True,
    device: torch.device | str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> DenoisingResult:
    """Generate a batch of canvases.

    Args:
        logits_fn: The network: tokens int64 `[B, L]` (mask token V where masked) to logits float `[B, L, V]`.
        canvas: What to generate.
        denoiser: How.
        batch_size: B.
        generator: The only source of randomness, on `device`: the same seed gives the same answer.
        frozen_tokens: int64 `[B, L]`, ids that are given and never change, -1 where free.
        deadline_s: No further step is started after this many seconds; the first always runs.
        keep_trace: Whether to keep an entry per step.
        device: Where the canvas and the logits live.
        clock: Seconds, monotonic.

    Raises:
        ActionError: Frozen tokens are malformed, or the network answers with the wrong shape or with NaN.
        ConfigurationError: The generator is on another kind of device.
    """
    device = torch.device(device)
    if generator.device.type != device.type:
        raise ConfigurationError(f"The generator is on {generator.device}, the canvas on {device}; make both the same.")
    started = clock()
    state = denoiser.start(canvas, batch_size=batch_size, frozen_tokens=frozen_tokens, device=device)
    trace: list[StepTrace] = []
    logits = None
    nfe = 0
    while nfe < state.num_steps and not (nfe and _expired(started, deadline_s, clock, device)):
        logits = _checked(logits_fn(state.tokens), batch_size, canvas)
        state, entry = denoiser.step(nfe, state, logits, generator)
        nfe += 1
        if keep_trace:
            trace.append(entry)
    tokens, confidence, filled = _fill(state, logits, canvas.mask_token)
    if not bool(torch.isfinite(confidence).all()):
        raise ActionError("The network answered with NaN logits; check the observation and the checkpoint.")
    return DenoisingResult(tokens, confidence, tuple(trace), nfe, filled)


def _expired(started: float, deadline_s: float | None, clock: Callable[[], float], device: torch.device) -> bool:
    if deadline_s is None:
        return False
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()  # else the clock would only measure the queueing of work
    return clock() - started >= deadline_s


def _checked(logits: Tensor, batch_size: int, canvas: Canvas) -> Tensor:
    expected = (batch_size, canvas.length, canvas.vocabulary)
    if logits.shape != expected:
        raise ActionError(f"The network must answer with logits of shape {list(expected)}, got {list(logits.shape)}.")
    return logits


def _fill(state: DecodeState, logits: Tensor | None, mask_token: int) -> tuple[Tensor, Tensor, Tensor]:
    """Complete a canvas that was cut short with the arg-max of the last logits."""
    filled = state.tokens == mask_token
    if logits is None:
        return state.tokens, state.confidence, filled
    best, token = torch.softmax(logits.float(), dim=-1).max(dim=-1)
    return torch.where(filled, token, state.tokens), torch.where(filled, best, state.confidence), filled
