"""Joint decoding of future images and actions (JD3P): UD-VLA (arXiv 2511.01718)."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas, WarmStart
from dvla_ros.denoising.joint_plan import Fade, JointPlan, Ranking
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.sampling import lowest, probability_of, safe_log, sample
from dvla_ros.denoising.schedules import schedule_named, steps_for
from dvla_ros.denoising.state import DecodeState, Scores, StepTrace
from dvla_ros.denoising.validation import require
from dvla_ros.denoising.warm_start import starting_canvas

Stages = Literal["one", "two"]
Budgets = Literal["shared", "separate"]
Reference = Literal["canvas", "unknown"]
AfterEoa = Literal["compete", "settle"]

_VALUE_DRAW, _RANKING_DRAW = range(2)


@dataclass(frozen=True)
class JointConfig:
    """Settings of `JointDenoiser`; the defaults are those of the released code.

    Attributes:
        action_segment: The segment that holds the actions; all others are images.
        stages: `one`, images and actions in the same steps (released default); `two`, first all images, then the
            actions (the released two-stage variant). The network sees the actions as MASK in the first stage.
        num_steps: T of the one stage for an empty canvas.
        image_steps: T of the first of two stages.
        action_steps: T of the second; the released code takes 28 on CALVIN and 24 on LIBERO.
        schedule: Mask ratio by name, see `schedules`.
        reference: What the mask ratio is a ratio of: `canvas`, the unknown and the prefilled positions (released);
            `unknown`, the unknown ones (as in MaskGIT).
        budgets: In one stage: `shared`, image and action positions compete in one ranking (released); `separate`,
            images and actions each keep to the schedule (MMaDA-VLA, arXiv 2603.25406).
        action_delay: While the progress r is below this, actions rank behind all images (the released LIBERO
            option); 0 for never. Only for a shared ranking.
        value_temperature: Tokens are drawn from p at this temperature, 0 is arg-max.
        choice_temperature: tau_0 of the Gumbel noise on the log probabilities that are ranked.
        choice_fade: How tau falls: `cumulative`, tau <- tau (1 - r) in each step (released), so that the ranking is
            all but free of noise after a third of the steps; `linear`, tau_0 (1 - r).
        greedy: Arg-max values and a ranking without noise, whatever the two temperatures.
        eoa_token: Id that ends the actions, in the vocabulary of the action segment. The network sees MASK behind
            the first one committed; the decoder keeps what it holds there. None: no such id.
        after_eoa: Masked positions behind the first EOA: `compete` like all others (released, one stage); `settle`
            with the tokens proposed, as nothing reads them (released, two stages).
        finish_with_actions: A chunk takes no step after its actions are complete; what is still masked of its
            images takes the tokens proposed in that step.
        warm_keep: Share of a warm start's tokens that are kept as committed, the most confident first.
        adaptive_steps: Take max(1, floor(T * unknown / free)) steps when part of the canvas is given (DiscreteRTC,
            arXiv 2604.25050), instead of T.

    Raises:
        ConfigurationError: A value is out of range, or two do not go together.
    """

    action_segment: str = "action"
    stages: Stages = "one"
    num_steps: int = 72
    image_steps: int = 64
    action_steps: int = 28
    schedule: str = "cosine"
    reference: Reference = "canvas"
    budgets: Budgets = "shared"
    action_delay: float = 0.0
    value_temperature: float = 1.0
    choice_temperature: float = 1.0
    choice_fade: Fade = "cumulative"
    greedy: bool = False
    eoa_token: int | None = None
    after_eoa: AfterEoa = "compete"
    finish_with_actions: bool = False
    warm_keep: float = 0.5
    adaptive_steps: bool = True

    def __post_init__(self) -> None:
        schedule_named(self.schedule)
        for name, allowed in (("stages", Stages), ("reference", Reference), ("budgets", Budgets)):
            self._require(name, getattr(self, name) in get_args(allowed), f"one of {get_args(allowed)}")
        for name, allowed in (("choice_fade", Fade), ("after_eoa", AfterEoa)):
            self._require(name, getattr(self, name) in get_args(allowed), f"one of {get_args(allowed)}")
        for name in ("num_steps", "image_steps", "action_steps"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("value_temperature", "choice_temperature"):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        for name in ("action_delay", "warm_keep"):
            self._require(name, 0 <= getattr(self, name) <= 1, "in 0..1")
        one_ranking = self.stages == "one" and self.budgets == "shared"
        self._require("action_delay", one_ranking or self.action_delay == 0, "0 unless one ranking is shared")
        self._require(
            "after_eoa", self.eoa_token is not None or self.after_eoa == "compete", "'compete' without an EOA"
        )

    def _require(self, name: str, condition: bool, rule: str) -> None:
        require(condition, "Joint decoding", name, getattr(self, name), rule)

    @classmethod
    def released(cls, num_steps: int = 72, *, eoa_token: int | None = None) -> "JointConfig":
        """The released joint decode."""
        return cls(num_steps=num_steps, eoa_token=eoa_token)

    @classmethod
    def two_stage(cls, action_steps: int = 28, *, eoa_token: int) -> "JointConfig":
        """The released variant with the images first."""
        return cls(stages="two", action_steps=action_steps, eoa_token=eoa_token, after_eoa="settle")

    @classmethod
    def paper(cls, num_steps: int = 72, *, eoa_token: int | None = None) -> "JointConfig":
        """MaskGIT's own count and noise, instead of what the released code makes of them."""
        return cls(num_steps=num_steps, eoa_token=eoa_token, reference="unknown", choice_fade="linear")

    @classmethod
    def mmada_vla(cls, num_steps: int = 24) -> "JointConfig":
        """The decode of MMaDA-VLA."""
        return cls(num_steps=num_steps, budgets="separate")


@dataclass(frozen=True)
class JointState(DecodeState):
    """A canvas in joint decoding; `tokens` is what the network sees.

    Attributes:
        held: int64 `[B, L]`, what the decoder holds, MASK where undecided. The network sees the same but for MASK
            behind an EOA, until the chunk is complete.
        is_action: bool `[L]`, positions of the action segment.
        ranking_of: int64 `[L]`, the ranking in which each position competes.
        plan: What every step has to do.
    """

    held: Tensor
    is_action: Tensor
    ranking_of: Tensor
    plan: JointPlan


class JointDenoiser:
    """Propose a token everywhere, keep the surest of images and actions, mask the others again.

    One denoising step, with r the progress after it and m the positions that stay masked by the schedule:

    1. p = softmax(logits) over each segment's own vocabulary; draw z from p at masked positions.
    2. Score the proposals by log p(z) + tau * Gumbel.
    3. The m lowest of each ranking stay MASK, the others are committed.
    4. The network's next input has MASK everywhere behind the first EOA of the actions, but where frozen.

    The last step commits all proposals. A committed token is final.
    """

    def __init__(self, config: JointConfig) -> None:
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
    ) -> JointState:
        """Everything masked but the given positions and what is kept of the warm start.

        Raises:
            ActionError: Frozen tokens or the warm start are malformed.
            ConfigurationError: The canvas lacks the action segment, or that segment the EOA.
        """
        begin = starting_canvas(
            canvas,
            batch_size=noise.batch_size,
            frozen_tokens=frozen_tokens,
            warm_start=warm_start,
            keep=self.config.warm_keep,
            device=device,
        )
        is_action = self._action_positions(canvas, device)
        one_ranking = self.config.stages == "one" and self.config.budgets == "shared"
        ranking_of = torch.zeros_like(is_action, dtype=torch.int64) if one_ranking else is_action.long()
        plan = self._plan(begin.masked, ranking_of, canvas)
        tokens = self._visible(begin.tokens, begin.frozen, is_action, canvas.mask_token)
        return JointState(
            tokens=tokens,
            confidence=begin.confidence,
            frozen=begin.frozen,
            undecided=tokens == canvas.mask_token,
            num_steps=plan.num_steps,
            held=begin.tokens,
            is_action=is_action,
            ranking_of=ranking_of,
            plan=plan,
        )

    def step(self, index: int, state: JointState, scores: Scores, noise: Noise) -> tuple[JointState, StepTrace]:
        """One denoising step; the scores answer `state.tokens`."""
        mask_token = scores.logits.shape[-1]
        log_p = torch.log_softmax(scores.logits.float(), dim=-1)
        unknown = state.held == mask_token
        proposal = torch.where(unknown, self._propose(log_p, index, noise), state.held)
        probability = probability_of(proposal, log_p)

        stay = self._stay(index, state, unknown, self._score(index, state, probability, noise))
        stay = self._without_settled(stay, proposal, state.is_action, mask_token)
        held = proposal.masked_fill(stay, mask_token)
        committed = unknown & ~stay
        tokens = self._visible(held, state.frozen, state.is_action, mask_token)
        after = replace(
            state,
            tokens=tokens,
            confidence=torch.where(committed, probability, state.confidence),
            undecided=tokens == mask_token,
            held=held,
        )
        shown = probability.masked_fill(state.frozen, 1.0)
        return after, StepTrace(held, shown, committed, torch.zeros_like(stay), state.frozen)

    def _action_positions(self, canvas: Canvas, device: torch.device) -> Tensor:
        span = canvas.span(self.config.action_segment)
        vocabulary = next(s.vocabulary for s in canvas.segments if s.name == self.config.action_segment)
        eoa = self.config.eoa_token
        known = eoa is None or 0 <= eoa < vocabulary
        require(known, "Joint decoding", "eoa_token", eoa, f"in 0..{vocabulary - 1} on this canvas")
        is_action = torch.zeros(canvas.length, dtype=torch.bool, device=device)
        is_action[span] = True
        return is_action

    def _plan(self, unknown: Tensor, ranking_of: Tensor, canvas: Canvas) -> JointPlan:
        """The plan for these masked positions, bool `[B, L]`."""
        prefilled = canvas.initial(1, None, unknown.device)[1]
        count = partial(_count, ranking_of=ranking_of)
        given, free = count(prefilled)[0], count(~prefilled)[0]
        return JointPlan.make(
            [self._rankings(masked, free, given, canvas.determined) for masked in count(unknown)],
            self._schedule,
            temperature=self.config.choice_temperature,
            fade=self.config.choice_fade,
            in_turn=self.config.stages == "two",
            device=unknown.device,
        )

    def _rankings(self, unknown: list[int], free: list[int], prefilled: list[int], determined: int) -> list[Ranking]:
        """The rankings of one chunk from its numbers of positions in each; what is determined are actions."""
        left = [*unknown[:-1], max(0, unknown[-1] - determined)]
        if self.config.stages == "two":
            totals = [self.config.image_steps, self.config.action_steps]
            steps = [self._steps(total, n, f) for total, n, f in zip(totals, left, free, strict=True)]
        else:
            steps = [self._steps(self.config.num_steps, sum(left), sum(free))] * len(unknown)
        extra = prefilled if self.config.reference == "canvas" else [0] * len(unknown)
        return [Ranking(u, t, u + p) for u, t, p in zip(unknown, steps, extra, strict=True)]

    def _steps(self, num_steps: int, left: int, free: int) -> int:
        return steps_for(num_steps, left, free) if self.config.adaptive_steps else num_steps

    def _propose(self, log_p: Tensor, index: int, noise: Noise) -> Tensor:
        """One token per position, int64 `[B, L]`."""
        temperature = 0.0 if self.config.greedy else self.config.value_temperature
        return sample(log_p, temperature, noise, step=index, draw=_VALUE_DRAW)

    def _score(self, index: int, state: JointState, probability: Tensor, noise: Noise) -> Tensor:
        """Log certainty of each position's proposal with the noise of this step, float `[B, L]`."""
        plan = state.plan
        if self.config.action_delay > 0:
            too_early = plan.progress[index].index_select(-1, state.ranking_of) < self.config.action_delay
            probability = probability.masked_fill(too_early & state.is_action, 0.0)
        score = safe_log(probability)
        if self.config.greedy or self.config.choice_temperature == 0:
            return score
        temperature = plan.temperature[index].index_select(-1, state.ranking_of)
        return score + temperature * noise.gumbel(score.shape[-1], step=index, draw=_RANKING_DRAW)

    @staticmethod
    def _stay(index: int, state: JointState, unknown: Tensor, score: Tensor) -> Tensor:
        """The lowest scores of each ranking, as many as its plan says but fewer than there are, bool `[B, L]`."""
        stay = torch.zeros_like(unknown)
        for ranking in range(state.plan.progress.shape[-1]):
            pool = unknown & (state.ranking_of == ranking)
            left = pool.sum(dim=-1, keepdim=True)
            fewer = torch.minimum(state.plan.masked_after[index, :, ranking, None], (left - 1).clamp_min(0))
            waits = state.plan.progress[index, :, ranking, None] == 0
            stay = stay | lowest(score, pool, torch.where(waits, left, fewer))
        return stay

    def _without_settled(self, stay: Tensor, proposal: Tensor, is_action: Tensor, mask_token: int) -> Tensor:
        """`stay` without the positions that nothing waits for any more, bool `[B, L]`."""
        if self.config.after_eoa == "settle":
            stay = stay & ~self._behind_eoa(proposal.masked_fill(stay, mask_token), is_action)
        if self.config.finish_with_actions:
            stay = stay & (stay & is_action).any(dim=-1, keepdim=True)
        return stay

    def _visible(self, held: Tensor, frozen: Tensor, is_action: Tensor, mask_token: int) -> Tensor:
        """What the network is shown of the tokens held; a complete chunk is shown whole."""
        if self.config.eoa_token is None:
            return held
        is_complete = (held != mask_token).all(dim=-1, keepdim=True)
        return held.masked_fill(self._behind_eoa(held, is_action) & ~frozen & ~is_complete, mask_token)

    def _behind_eoa(self, held: Tensor, is_action: Tensor) -> Tensor:
        """Action positions after the first EOA, bool `[B, L]`."""
        ends = ((held == self.config.eoa_token) & is_action).long()
        return is_action & (ends.cumsum(dim=-1) - ends > 0)


def _count(positions: Tensor, ranking_of: Tensor) -> list[list[int]]:
    """How many of the positions, bool `[B, L]`, are in each ranking: B lists of G numbers."""
    rankings = range(int(ranking_of.max()) + 1)
    return torch.stack([(positions & (ranking_of == g)).sum(dim=-1) for g in rankings], dim=-1).tolist()
