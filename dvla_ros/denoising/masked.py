"""Adaptive masked decoding with secondary re-masking: Discrete Diffusion VLA (arXiv 2508.20072)."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas, WarmStart
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.plan import StepPlan
from dvla_ros.denoising.sampling import entropy, likeliest, lowest, others_last, probability_of, safe_log, sample
from dvla_ros.denoising.schedules import schedule_named
from dvla_ros.denoising.state import DecodeState, Scores, StepTrace
from dvla_ros.denoising.validation import require
from dvla_ros.denoising.warm_start import starting_canvas
from dvla_ros.errors import ConfigurationError

Order = Literal["confidence", "max_confidence", "margin", "entropy", "random"]
Values = Literal["categorical", "perturbed"]
Remask = Literal["none", "released", "paper"]

_VALUE_DRAW, _PERTURBING_DRAW, _RANKING_DRAW = range(3)


@dataclass(frozen=True)
class MaskedConfig:
    """Settings of `MaskedDenoiser`; the defaults are those of the released code.

    Attributes:
        num_steps: T for an empty canvas.
        schedule: Mask ratio by name, see `schedules`; `even` is LLaDA's quota.
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
        adaptive_steps: Take max(1, floor(T * unknown / L)) steps when part of the canvas is given or guessed
            (DiscreteRTC, arXiv 2604.25050), instead of T.
        warm_keep: Share of a warm start's guesses that is kept, the most confident ones; the others are masked. With 1
            a guess of the whole canvas is taken as it is, without asking the network.

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
    warm_keep: float = 0.5

    def __post_init__(self) -> None:
        schedule_named(self.schedule)
        for name, allowed in (("order", Order), ("values", Values), ("remask", Remask)):
            self._require(name, getattr(self, name) in get_args(allowed), f"one of {get_args(allowed)}")
        for name, least in (("num_steps", 1), ("value_temperature", 0), ("choice_temperature", 0), ("max_remasks", 0)):
            self._require(name, getattr(self, name) >= least, f"at least {least}")
        for name in ("remask_below", "warm_keep"):
            self._require(name, 0 <= getattr(self, name) <= 1, "in 0..1")
        if (self.remask_drop is None) == (self.remask_top is None):
            raise ConfigurationError(
                f"Masked decoding: give either remask_drop or remask_top, got {self.remask_drop} and {self.remask_top}."
            )
        self._require("remask_drop", self.remask_drop is None or 0 <= self.remask_drop <= 1, "in 0..1")
        self._require("remask_top", self.remask_top is None or self.remask_top >= 1, "at least 1")

    def _require(self, name: str, condition: bool, rule: str) -> None:
        require(condition, "Masked decoding", name, getattr(self, name), rule)

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
    def llada(cls, num_steps: int = 10, *, value_temperature: float = 0.0) -> "MaskedConfig":
        """LLaDA's decode (arXiv 2502.09992): an even quota, the surest tokens first, none ever re-masked."""
        return cls(num_steps=num_steps, schedule="even", value_temperature=value_temperature, choice_temperature=0.0)


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
        self,
        canvas: Canvas,
        *,
        noise: Noise,
        frozen_tokens: Tensor | None,
        warm_start: WarmStart | None,
        device: torch.device,
    ) -> MaskedState:
        """Everything masked but the given and the surest guessed positions; each chunk gets the steps it needs.

        Raises:
            ActionError: `frozen_tokens` or `warm_start` has the wrong shape or an id outside the vocabulary.
        """
        begin = starting_canvas(
            canvas,
            batch_size=noise.batch_size,
            frozen_tokens=frozen_tokens,
            warm_start=warm_start,
            keep=self.config.warm_keep,
            device=device,
        )
        unknown = begin.masked.sum(dim=-1).tolist()
        plan = StepPlan.make(unknown, [self._steps(u, canvas) for u in unknown], self._schedule, device)
        return MaskedState(
            tokens=begin.tokens,
            confidence=begin.confidence,
            frozen=begin.frozen,
            undecided=begin.masked,
            num_steps=plan.num_steps,
            remasks=torch.zeros_like(begin.tokens),
            plan=plan,
        )

    def step(self, index: int, state: MaskedState, scores: Scores, noise: Noise) -> tuple[MaskedState, StepTrace]:
        """One denoising step; `scores` answer `state.tokens`."""
        mask_token = scores.logits.shape[-1]
        log_p = torch.log_softmax(scores.logits.float(), dim=-1)
        masked = state.undecided
        proposal = torch.where(masked, self._propose(index, log_p, state.plan, noise), state.tokens)
        probability = probability_of(proposal, log_p)

        score = others_last(self._score(index, log_p, probability, state, noise), state.first)
        pool = ~state.frozen if self.config.remask == "released" else masked
        becomes_mask = stay = lowest(score, pool, state.plan.masked_after[index])
        committed = masked & ~stay
        remasked, remasks = torch.zeros_like(masked), state.remasks
        if self.config.remask != "none":
            remasked = self._remasked(index, state, probability, stay)
            becomes_mask, remasks = stay | remasked, remasks + remasked

        reference = torch.where(committed, probability, state.confidence).masked_fill_(becomes_mask, 0.0)
        after = replace(
            state,
            tokens=proposal.masked_fill_(becomes_mask, mask_token),
            confidence=reference,
            undecided=becomes_mask,
            remasks=remasks,
        )
        shown = probability.masked_fill(state.frozen, 1.0)
        return after, StepTrace(after.tokens, shown, committed, remasked, state.frozen)

    def _steps(self, unknown: int, canvas: Canvas) -> int:
        if not self.config.adaptive_steps:
            return self.config.num_steps
        return canvas.steps(self.config.num_steps, unknown)

    def _propose(self, index: int, log_p: Tensor, plan: StepPlan, noise: Noise) -> Tensor:
        """One token per position, int64 `[B, L]`."""
        temperature = self.config.value_temperature
        if self.config.greedy:
            return likeliest(log_p)
        if self.config.values == "categorical":
            return sample(log_p, temperature, noise, step=index, draw=_VALUE_DRAW)
        shape = log_p.shape[1:]
        perturbed = log_p + noise.gumbel(*shape, step=index, draw=_PERTURBING_DRAW)
        fading = temperature * plan.ratio_before[index].unsqueeze(-1)
        return likeliest(perturbed + fading * noise.gumbel(*shape, step=index, draw=_VALUE_DRAW))

    def _score(self, index: int, log_p: Tensor, probability: Tensor, state: MaskedState, noise: Noise) -> Tensor:
        """Log certainty of each position's proposal with the noise of this step, float `[B, L]`."""
        left, certainty = 1 - state.plan.progress[index], self._certainty(log_p, probability)
        if self.config.remask == "released":  # else what is held does not compete
            certainty = torch.where(state.undecided, certainty, probability * left)
        temperature = 0.0 if self.config.greedy else self.config.choice_temperature
        if self.config.order == "random":
            temperature = 1.0
        if temperature == 0:
            return safe_log(certainty)
        return safe_log(certainty) + temperature * left * noise.gumbel(
            certainty.shape[-1], step=index, draw=_RANKING_DRAW
        )

    def _certainty(self, log_p: Tensor, probability: Tensor) -> Tensor:
        """How sure the network is of each position, 0..1, by the chosen order."""
        order = self.config.order
        if order == "confidence":
            return probability
        if order == "max_confidence":
            return log_p.amax(dim=-1).exp()
        if order == "margin":
            first, second = log_p.topk(2, dim=-1).values.exp().unbind(dim=-1)
            return first - second
        if order == "entropy":
            return torch.exp(-entropy(log_p))
        return torch.ones_like(probability)

    def _remasked(self, index: int, state: MaskedState, probability: Tensor, stay: Tensor) -> Tensor:
        """Tokens held before this step that become MASK, bool `[B, L]`."""
        if self.config.remask == "paper":
            return self._doubtful(index, state, probability)
        return stay & ~state.undecided

    def _doubtful(self, index: int, state: MaskedState, probability: Tensor) -> Tensor:
        """The paper's two checks on tokens committed in an earlier step, bool `[B, L]`."""
        plan = state.plan
        held = ~state.undecided & ~state.frozen & (state.remasks < self.config.max_remasks) & ~plan.is_last[index]
        improbable = probability < self.config.remask_below * plan.progress[index]
        drop = state.confidence - probability
        if self.config.remask_drop is not None:
            return held & (improbable | (drop > self.config.remask_drop))
        count = torch.full_like(plan.masked_after[index], self.config.remask_top or 0)
        return held & (improbable | lowest(-drop, held & (drop > 0), count))
