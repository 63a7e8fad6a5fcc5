"""Adaptive masked decoding with secondary re-masking: Discrete Diffusion VLA (arXiv 2508.20072)."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.plan import StepPlan
from dvla_ros.denoising.sampling import gumbel, lowest, safe_log
from dvla_ros.denoising.schedules import schedule_named
from dvla_ros.denoising.state import DecodeState, StepTrace
from dvla_ros.errors import ConfigurationError

Order = Literal["confidence", "max_confidence", "margin", "entropy", "random"]
Values = Literal["categorical", "perturbed"]
Remask = Literal["none", "released", "paper"]


@dataclass(frozen=True)
class MaskedConfig:
    """Settings of `MaskedDenoiser`; the defaults are those of the released code.

    Attributes:
        num_steps: T for an empty canvas.
        schedule: Mask ratio by name, see `schedules`.
        order: Which proposals are committed first: `confidence`, the probability of the sampled token (released);
            `max_confidence`, of the likeliest token (paper); `margin`, its lead over the second (paper); `entropy`,
            the lowest first; `random`.
        values: How tokens are drawn from p: `categorical`, from p at `value_temperature` (released); `perturbed`,
            from softmax((log p + Gumbel) / tau_t) with tau_t = value_temperature * mask ratio (paper).
        value_temperature: 0 with `categorical` is arg-max, with `perturbed` an exact sample of p.
        choice_temperature: Gumbel noise on the log score of the ranking, fading to 0 with progress.
        greedy: Arg-max values and a ranking without noise, whatever the two temperatures.
        remask: How committed tokens may become MASK again: `none`; `released`, their probability times (1 - r)
            competes in the ranking; `paper`, the absolute threshold and the drop below.
        remask_below: `paper`: a token whose probability is below this times the progress is re-masked (eta_abs).
        remask_drop: `paper`: so is one that lost more than this since it was committed (eta_drop), or
            None to use `remask_top`.
        remask_top: `paper`: so are the this many that lost most (Q), instead of `remask_drop`.
        max_remasks: `paper`: times one position can be re-masked, so that decoding does not oscillate.
        adaptive_steps: Take max(1, floor(T * unknown / L)) steps when part of the canvas is given (DiscreteRTC,
            arXiv 2604.25050), instead of T.

    Raises:
        ConfigurationError: A value is out of range.
    """

    num_steps: int = 12
    schedule: str = "cosine"
    order: Order = "confidence"
    values: Values = "categorical"
    value_temperature: float = 1.0
    choice_temperature: float = 1.0
    greedy: bool = False
    remask: Remask = "none"
    remask_below: float = 0.3
    remask_drop: float | None = 0.3
    remask_top: int | None = None
    max_remasks: int = 2
    adaptive_steps: bool = True

    def __post_init__(self) -> None:
        schedule_named(self.schedule)
        for name, allowed in (("order", Order), ("values", Values), ("remask", Remask)):
            _require(getattr(self, name) in get_args(allowed), name, getattr(self, name), f"one of {get_args(allowed)}")
        for name, least in (("num_steps", 1), ("value_temperature", 0), ("choice_temperature", 0), ("max_remasks", 0)):
            _require(getattr(self, name) >= least, name, getattr(self, name), f"at least {least}")
        _require(0 <= self.remask_below <= 1, "remask_below", self.remask_below, "in 0..1")
        if (self.remask_drop is None) == (self.remask_top is None):
            raise ConfigurationError(
                f"Masked decoding: give either remask_drop or remask_top, got {self.remask_drop} and {self.remask_top}."
            )
        _require(self.remask_drop is None or 0 <= self.remask_drop <= 1, "remask_drop", self.remask_drop, "in 0..1")
        _require(self.remask_top is None or self.remask_top >= 1, "remask_top", self.remask_top, "at least 1")

    @classmethod
    def released(cls, num_steps: int = 12, *, soft_remask: bool = False) -> "MaskedConfig":
        """The released decode; its soft re-masking is off by default there too."""
        return cls(num_steps=num_steps, remask="released" if soft_remask else "none")

    @classmethod
    def paper(cls, num_steps: int = 12) -> "MaskedConfig":
        """The paper's decode; its thresholds and temperatures are unpublished, so those numbers are ours."""
        return cls(
            num_steps=num_steps, order="max_confidence", values="perturbed", choice_temperature=0.0, remask="paper"
        )

    @classmethod
    def one_shot(cls) -> "MaskedConfig":
        """The parallel baseline: the arg-max of every position from one network call."""
        return cls(num_steps=1, greedy=True)


def _require(condition: bool, name: str, value: object, rule: str) -> None:
    if not condition:
        raise ConfigurationError(f"Masked decoding: {name} must be {rule}, got {value!r}.")


@dataclass(frozen=True)
class MaskedState(DecodeState):
    """A canvas in masked decoding.

    Attributes:
        remasks: int64 `[B, L]`, how often each position has been re-masked.
        plan: What every step has to do.
    """

    remasks: Tensor
    plan: StepPlan


class MaskedDenoiser:
    """Propose a token everywhere, keep the surest, mask the others again; in every step fewer stay masked.

    One denoising step, with r the progress after it and m the positions that stay masked by the schedule:

    1. p = softmax(logits); propose z at masked positions, keep the token elsewhere.
    2. Score the proposals by the chosen order, with Gumbel noise of temperature tau * (1 - r).
    3. The m lowest scores of the masked positions (`released` re-masking: of all but the frozen) stay MASK, the others
       are committed with their probability as reference.
    4. `paper` re-masking: of the tokens committed before this step, those improbable by now, or less probable than
       their reference by too much, become MASK on top of the m; the next step makes up for them.

    A position's reference and present confidence are the probability of the token it *holds*. For an arg-max token
    that is the paper's max_k p(k); for a sampled one it sees what the maximum would hide, a network that has become
    sure of another token.
    """

    def __init__(self, config: MaskedConfig) -> None:
        self.config = config
        self._schedule = schedule_named(config.schedule)

    def start(
        self, canvas: Canvas, *, batch_size: int, frozen_tokens: Tensor | None, device: torch.device
    ) -> MaskedState:
        """Everything masked but the given positions; each chunk of the batch gets the steps it needs.

        Raises:
            ActionError: `frozen_tokens` has the wrong shape or an id outside the vocabulary.
        """
        tokens, frozen = canvas.initial(batch_size, frozen_tokens, device)
        unknown = (~frozen).sum(dim=-1).tolist()
        plan = StepPlan.make(unknown, [self._steps(u, canvas) for u in unknown], self._schedule, device)
        return MaskedState(
            tokens=tokens,
            confidence=frozen.float(),
            frozen=frozen,
            num_steps=plan.num_steps,
            remasks=torch.zeros_like(tokens),
            plan=plan,
        )

    def step(
        self, index: int, state: MaskedState, logits: Tensor, generator: torch.Generator
    ) -> tuple[MaskedState, StepTrace]:
        """One denoising step; `logits` `[B, L, V]` answer `state.tokens`."""
        mask_token = logits.shape[-1]
        log_p = torch.log_softmax(logits.float(), dim=-1)
        masked = state.tokens == mask_token
        proposal = torch.where(masked, self._propose(log_p, state.plan.ratio_before[index], generator), state.tokens)
        probability = log_p.gather(-1, proposal.unsqueeze(-1)).squeeze(-1).exp()

        score = self._score(log_p, probability, masked, state.plan.progress[index], generator)
        pool = ~state.frozen if self.config.remask == "released" else masked
        stay = lowest(score, pool, state.plan.masked_after[index])
        remasked = stay & ~masked
        if self.config.remask == "paper":
            remasked = self._doubtful(index, state, masked, probability)
        becomes_mask = stay | remasked
        committed = masked & ~stay

        reference = torch.where(committed, probability, state.confidence).masked_fill(becomes_mask, 0.0)
        after = MaskedState(
            tokens=proposal.masked_fill(becomes_mask, mask_token),
            confidence=reference,
            frozen=state.frozen,
            num_steps=state.num_steps,
            remasks=state.remasks + remasked,
            plan=state.plan,
        )
        shown = probability.masked_fill(state.frozen, 1.0)
        return after, StepTrace(after.tokens, shown, committed, remasked, state.frozen)

    def _steps(self, unknown: int, canvas: Canvas) -> int:
        if not self.config.adaptive_steps:
            return self.config.num_steps
        return max(1, self.config.num_steps * unknown // max(1, canvas.free_length))

    def _propose(self, log_p: Tensor, ratio: Tensor, generator: torch.Generator) -> Tensor:
        """One token per position, int64 `[B, L]`; Gumbel-max instead of multinomial, which waits for the device."""
        temperature = self.config.value_temperature
        if self.config.greedy or (self.config.values == "categorical" and temperature == 0):
            return log_p.argmax(dim=-1)
        if self.config.values == "categorical":
            return (log_p + temperature * gumbel(log_p, generator)).argmax(dim=-1)
        perturbed = log_p + gumbel(log_p, generator)
        return (perturbed + temperature * ratio.unsqueeze(-1) * gumbel(log_p, generator)).argmax(dim=-1)

    def _score(
        self, log_p: Tensor, probability: Tensor, masked: Tensor, progress: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Log certainty of each position's proposal with the noise of this step, float `[B, L]`."""
        order = self.config.order
        if order == "random":
            certainty = torch.ones_like(probability)
        elif order == "confidence":
            certainty = probability
        elif order == "max_confidence":
            certainty = log_p.amax(dim=-1).exp()
        elif order == "margin":
            first_two = log_p.topk(2, dim=-1).values.exp()
            certainty = first_two[..., 0] - first_two[..., 1]
        else:
            certainty = torch.exp(-torch.special.entr(log_p.exp()).sum(dim=-1))
        score = safe_log(torch.where(masked, certainty, probability * (1 - progress)))
        noise = 1.0 if order == "random" else 0.0 if self.config.greedy else self.config.choice_temperature
        if noise == 0:
            return score
        return score + (noise * (1 - progress)) * gumbel(score, generator)

    def _doubtful(self, index: int, state: MaskedState, masked: Tensor, probability: Tensor) -> Tensor:
        """The paper's two checks on tokens committed in an earlier step, bool `[B, L]`."""
        plan = state.plan
        held = ~masked & ~state.frozen & (state.remasks < self.config.max_remasks) & ~plan.is_last[index]
        improbable = probability < self.config.remask_below * plan.progress[index]
        drop = state.confidence - probability
        if self.config.remask_drop is not None:
            return held & (improbable | (drop > self.config.remask_drop))
        count = torch.full_like(plan.masked_after[index], self.config.remask_top or 0)
        return held & (improbable | lowest(-drop, held & (drop > 0), count))
