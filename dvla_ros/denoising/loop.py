"""The one denoising loop: a decoder never sees the network, the network never sees the schedule."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas, WarmStart
from dvla_ros.denoising.early_end import EarlyEnd
from dvla_ros.denoising.guess_check import checked_guess
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.state import DecodeState, Scores, StepTrace
from dvla_ros.denoising.warm_start import usable_guess
from dvla_ros.errors import ActionError, ConfigurationError

LogitsFn = Callable[[Tensor], Tensor | Scores]
StateT = TypeVar("StateT", bound=DecodeState)


class Denoiser(Protocol[StateT]):
    """A decoding algorithm.

    `start` may look at tensor values; `step` must not wait for the device, so that it can be captured in a graph.
    """

    def start(
        self,
        canvas: Canvas,
        *,
        noise: Noise,
        frozen_tokens: Tensor | None,
        warm_start: WarmStart | None,
        device: torch.device,
    ) -> StateT:
        """The state before the first step, with the number of steps this batch needs; one row per row of `noise`."""
        ...

    def step(self, index: int, state: StateT, scores: Scores, noise: Noise) -> tuple[StateT, StepTrace]:
        """One denoising step from the scores of `state.tokens`; leaves no MASK after the last one."""
        ...


@dataclass(frozen=True)
class DenoisingResult:
    """A complete canvas.

    Attributes:
        tokens: int64 `[B, L]`, no mask token among them.
        confidence: float32 `[B, L]`, probability of each token when it was committed; 1 where fixed.
        trace: One entry per denoising step; empty when it was not asked for.
        nfe: Network function evaluations: the steps that ran, and one more where a guess was checked and some of it was
            kept.
        filled: bool `[B, L]`, positions that were still undecided when decoding was stopped, by the deadline or because
            all that was needed was decided, and took the arg-max of the last logits. They are not in the trace.
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
    seeds: Sequence[int],
    frozen_tokens: Tensor | None = None,
    warm_start: WarmStart | None = None,
    guess_share: float | None = None,
    needed: Tensor | None = None,
    deadline_s: float | None = None,
    finish_early: bool = True,
    ask_every: int = 1,
    keep_trace: bool = True,
    device: torch.device | str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> DenoisingResult:
    """Generate a batch of canvases.

    Args:
        logits_fn: The network: tokens int64 `[B, L]` (mask token V where masked) to logits float `[B, L, V]`, or to
            `Scores`.
        canvas: What to generate.
        denoiser: How.
        seeds: One per row, B in all, and the only source of randomness: a row's answer depends on its own seed alone.
        frozen_tokens: int64 `[B, L]`, ids that are given and never change, -1 where free.
        warm_start: A guess to start from.
        guess_share: Ask the network about the guess first, and drop what has less than this share of the likeliest
            token's probability, see `checked_guess`; in 0..1, None to take the guess as it is.
        needed: bool `[L]`, positions that must be decided before decoding may end; None for all. They are decided first
            where the decoder has a choice, see `DecodeState.first`. Once they are in every row it ends, and the others
            are filled. A decoder that re-masks might have changed its mind later.
        deadline_s: No further step is started after this many seconds; the first always runs.
        finish_early: End when nothing (needed) is undecided in any row.
        ask_every: Whether to end is asked after every so many steps, because asking waits for the device. The answer is
            that of asking after every step; the steps behind the end count in `nfe` alone.
        keep_trace: Whether to keep an entry per step.
        device: Where the canvas and the logits live.
        clock: Seconds, monotonic.

    Raises:
        ActionError: Frozen tokens, the guess or `needed` are malformed, or the network answers with the wrong shape or
            with NaN.
        ConfigurationError: `needed` without `finish_early`, or `ask_every` is less than 1.
    """
    device = torch.device(device)
    started = clock()
    awaited = _awaited(needed, canvas, finish_early, device)
    noise = Noise(seeds, device)
    closed = canvas.closed_ids()

    def ask(tokens: Tensor) -> Scores:
        return _checked(logits_fn(tokens), noise.batch_size, canvas, closed)

    blank, about_blank = None, None
    if warm_start is not None and guess_share is not None:
        blank, fixed = canvas.initial(noise.batch_size, frozen_tokens, device)
        about_blank = ask(blank)
        warm_start = checked_guess(usable_guess(canvas, warm_start, fixed), about_blank.logits, guess_share)
    state = denoiser.start(canvas, noise=noise, frozen_tokens=frozen_tokens, warm_start=warm_start, device=device)
    if needed is not None:
        state = replace(state, first=awaited)
    # Where nothing is kept of a guess, the question about it was the first step's already.
    known = about_blank if blank is not None and torch.equal(state.tokens, blank) else None
    checks = int(about_blank is not None) - int(known is not None and state.num_steps > 0)
    trace: list[StepTrace] = []
    scores = None
    steps = 0
    end = _early_end(awaited, ask_every, fills=needed is not None)

    def is_over() -> bool:
        if end is None:
            decided = awaited is not None and not bool((state.undecided & awaited).any())
        else:
            decided = steps % ask_every == 0 and end.is_over()
        return decided or _is_late(started, deadline_s, clock, device)

    while steps < state.num_steps and not (steps and is_over()):
        scores = known if steps == 0 and known is not None else ask(state.tokens)
        state, entry = denoiser.step(steps, state, scores, noise)
        steps += 1
        if end is not None:
            end.follow(state, scores)
        if keep_trace:
            trace.append(entry)
    ended = steps
    if end is not None and steps:
        outcome, ended = end.outcome, int(end.outcome.steps)
        state = replace(state, tokens=outcome.tokens, confidence=outcome.confidence, undecided=outcome.undecided)
        scores = scores if outcome.logits is None else Scores(outcome.logits)
    tokens, confidence, filled = _fill(state, scores, complete=ended == state.num_steps)
    if not bool(torch.isfinite(confidence).all()):
        raise ActionError("The network answered with NaN logits; check the observation and the checkpoint.")
    return DenoisingResult(tokens, confidence, tuple(trace[:ended]), steps + checks, filled)


def _awaited(needed: Tensor | None, canvas: Canvas, finish_early: bool, device: torch.device) -> Tensor | None:
    """Positions whose being undecided keeps the loop going, bool `[L]`; None where it is not to ask."""
    if needed is None:
        return torch.ones(canvas.length, dtype=torch.bool, device=device) if finish_early else None
    if not finish_early:
        raise ConfigurationError("Decoding can only end with what is needed if it may finish early.")
    if needed.shape != (canvas.length,) or needed.dtype != torch.bool:
        raise ActionError(f"Needed positions must be bool [{canvas.length}], got {needed.dtype} {list(needed.shape)}.")
    return needed.to(device)


def _early_end(awaited: Tensor | None, ask_every: int, fills: bool) -> EarlyEnd | None:
    """What is asked every few steps; None where it is asked after every one or never."""
    if ask_every < 1:
        raise ConfigurationError(f"ask_every must be 1 or more steps, got {ask_every}.")
    return None if awaited is None or ask_every == 1 else EarlyEnd(awaited, fills)


def _is_late(started: float, deadline_s: float | None, clock: Callable[[], float], device: torch.device) -> bool:
    if deadline_s is None:
        return False
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()  # else the clock would only measure the queueing of work
    return clock() - started >= deadline_s


def _checked(answer: Tensor | Scores, batch_size: int, canvas: Canvas, closed: Sequence[tuple[slice, slice]]) -> Scores:
    scores = answer if isinstance(answer, Scores) else Scores(answer)
    expected = (batch_size, canvas.length, canvas.vocabulary)
    for part in scores:
        if part is not None and part.shape != expected:
            raise ActionError(f"The network must answer with logits of shape {list(expected)}, got {list(part.shape)}.")
    if not closed:
        return scores
    rates = None if scores.rates is None else _filled(scores.rates, closed, 0.0)
    return Scores(_filled(scores.logits, closed, -torch.inf), rates)


def _filled(scores: Tensor, closed: Sequence[tuple[slice, slice]], value: float) -> Tensor:
    """A copy with one value for the ids that no decoder is to choose."""
    filled = scores.clone()
    for positions, ids in closed:
        filled[:, positions, ids] = value
    return filled


def _fill(state: DecodeState, scores: Scores | None, complete: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Complete a canvas that was cut short with the arg-max of the last logits."""
    if scores is None or complete:
        return state.tokens, state.confidence, torch.zeros_like(state.undecided)
    best, token = torch.softmax(scores.logits.float(), dim=-1).max(dim=-1)
    filled = state.undecided
    return torch.where(filled, token, state.tokens), torch.where(filled, best, state.confidence), filled
