"""Wrong tokens on the canvas in the middle of decoding, to see which decoders notice and repair them."""

from dataclasses import dataclass, replace
from typing import Any, Generic

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas, WarmStart
from dvla_ros.denoising.loop import Denoiser, DenoisingResult, LogitsFn, StateT, denoise
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.state import Scores, StepTrace
from dvla_ros.errors import ActionError, ConfigurationError

_TOKEN_FIELDS = ("tokens", "held")  # `held` only where a decoder hides part of its canvas from the network


@dataclass(frozen=True)
class Corrupting(Generic[StateT]):
    """A decoder that finds errors on its canvas after one of its steps, and goes on as it is.

    Only tokens change. The decoder's own memory stays: it believes that it committed the wrong token, as surely as
    the one that stood there.

    Attributes:
        inner: The decoder.
        at_step: After how many steps the errors appear, 1 or more.
        positions: bool `[B, L]`, where.
        tokens: int64 `[B, L]`, what stands there then; read at `positions` only.

    Raises:
        ConfigurationError: `at_step` is below 1.
    """

    inner: Denoiser[StateT]
    at_step: int
    positions: Tensor
    tokens: Tensor

    def __post_init__(self) -> None:
        if self.at_step < 1:
            raise ConfigurationError(f"Errors can appear after 1 or more steps, got at_step={self.at_step}.")

    def start(
        self,
        canvas: Canvas,
        *,
        noise: Noise,
        frozen_tokens: Tensor | None,
        warm_start: WarmStart | None,
        device: torch.device,
    ) -> StateT:
        """As the decoder starts by itself."""
        return self.inner.start(canvas, noise=noise, frozen_tokens=frozen_tokens, warm_start=warm_start, device=device)

    def step(self, index: int, state: StateT, scores: Scores, noise: Noise) -> tuple[StateT, StepTrace]:
        """One step of the decoder; the trace shows the canvas before the errors.

        Raises:
            ActionError: An error is to appear where the canvas is frozen or still masked.
        """
        after, entry = self.inner.step(index, state, scores, noise)
        if index + 1 == self.at_step:
            after = self._corrupted(after, mask_token=scores.logits.shape[-1])
        return after, entry

    def _corrupted(self, state: StateT, mask_token: int) -> StateT:
        refused = self.positions & (state.frozen | (state.tokens == mask_token))
        if bool(refused.any()):
            raise ActionError(
                f"Errors need a token to replace: after step {self.at_step} positions "
                f"{refused.any(dim=0).nonzero().flatten().tolist()} are frozen or still masked."
            )
        held = {name: getattr(state, name) for name in _TOKEN_FIELDS if hasattr(state, name)}
        changes: dict[str, Any] = {n: torch.where(self.positions, self.tokens, old) for n, old in held.items()}
        return replace(state, **changes)


@dataclass(frozen=True)
class Injection:
    """One chunk decoded twice from the same seed: undisturbed, and with errors half-way.

    Attributes:
        reference: int64 `[L]`, what the undisturbed decoding ends with.
        damaged: int64 `[L]`, the reference with the errors in it: the result if the errors stay and mislead nothing.
        result: int64 `[L]`, what the disturbed decoding ends with.
        errors: bool `[L]`, where errors were put.
        settled: bool `[L]`, the other positions that held their final token by then.
        open: bool `[L]`, positions that did not.
        nfe: Network evaluations of the disturbed decoding.
    """

    reference: Tensor
    damaged: Tensor
    result: Tensor
    errors: Tensor
    settled: Tensor
    open: Tensor
    nfe: int


def inject(
    logits_fn: LogitsFn,
    canvas: Canvas,
    decoder: Denoiser[Any],
    clean: DenoisingResult,
    *,
    seed: int,
    share: float,
    at: float = 0.5,
) -> Injection:
    """Decode a chunk again with errors on the canvas.

    Errors are put at positions that already hold the token they end with in `clean`, so that each of them is a right
    token made wrong, whatever the decoder. A decoder of one step gets them after it and cannot answer.

    Args:
        logits_fn: The network.
        canvas: What is generated.
        decoder: How.
        clean: The undisturbed decoding of one chunk with this seed, with its trace.
        seed: Of the decoding, and of the errors.
        share: Of those positions, 0..1; at least one becomes an error where there is any.
        at: After which part of the steps, 0..1.

    Raises:
        ConfigurationError: `share` or `at` is out of range.
        ActionError: `clean` has no trace.
    """
    for name, value in (("share", share), ("at", at)):
        if not 0 <= value <= 1:
            raise ConfigurationError(f"{name} must be in 0..1, got {value}.")
    if not clean.trace:
        raise ActionError("The undisturbed decoding has no trace; decode something with keep_trace=True.")
    at_step = max(1, int(clean.nfe * at))
    entry = clean.trace[at_step - 1]
    settled = (entry.tokens == clean.tokens) & ~entry.frozen
    draw = torch.Generator().manual_seed(seed)
    errors = _some(settled, share, draw)
    wrong = _other_tokens(clean.tokens, canvas, draw)
    disturbed = denoise(
        logits_fn, canvas, Corrupting(decoder, at_step, errors, wrong), seeds=[seed], device=clean.tokens.device
    )
    return Injection(
        reference=clean.tokens[0],
        damaged=torch.where(errors, wrong, clean.tokens)[0],
        result=disturbed.tokens[0],
        errors=errors[0],
        settled=(settled & ~errors)[0],
        open=(~settled & ~entry.frozen)[0],
        nfe=disturbed.nfe,
    )


def _some(candidates: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """A random share of the candidates bool `[1, L]`, at least one of them."""
    places = candidates[0].nonzero().flatten()
    count = min(len(places), max(1, round(share * len(places))))
    chosen = places[torch.randperm(len(places), generator=draw)[:count].to(places.device)]
    some = torch.zeros_like(candidates)
    some[0, chosen] = True
    return some


def _other_tokens(tokens: Tensor, canvas: Canvas, draw: torch.Generator) -> Tensor:
    """For each token int64 `[1, L]` another one of its own vocabulary, all equally likely."""
    sizes = canvas.vocabularies().unsqueeze(0)
    ahead = 1 + (torch.rand(sizes.shape, generator=draw, dtype=torch.float64) * (sizes - 1)).long()
    return (tokens + ahead.to(tokens.device)) % sizes.to(tokens.device)
