"""Hierarchical action-structured decoding (HAD): LLaDA-VLA (arXiv 2509.06932), section 3.4; no code was released."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import FREE, Canvas, WarmStart
from dvla_ros.denoising.commit import commit
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.sampling import lowest, others_last, probability_of, sample
from dvla_ros.denoising.state import DecodeState, Scores, StepTrace
from dvla_ros.denoising.validation import require
from dvla_ros.denoising.warm_start import usable_guess
from dvla_ros.errors import ConfigurationError

Order = Literal["hierarchical", "chronological"]
Reduction = Literal["sum", "mean"]
CommittedConfidence = Literal["one", "held", "left_out"]


@dataclass(frozen=True)
class HierarchicalConfig:
    """Settings of `HierarchicalDenoiser`; the defaults are the published decode where it is published.

    Attributes:
        segment: The segment whose rows are actions.
        iterations_per_action: Denoising steps per action, 2 as published. The tokens are split evenly over them, the
            larger parts first: 7 tokens are 4 and then 3. An action with fewer masked tokens takes one step for each.
        order: `hierarchical`, the action of the highest confidence comes next; `chronological`, the earliest.
        reduction: How the confidences of its tokens make up an action's: `sum` (published) or `mean`.
        committed_confidence: What a token that is already given adds to its action's confidence: `one`; `held`, the
            probability that it has by now; `left_out`, nothing, and it does not count in the mean either.
        value_temperature: 0 takes the likeliest token (published), 1 samples the network's distribution.
        warm_keep_above: An action of a warm start is kept, and takes no step, if all its tokens are guessed and their
            mean confidence is above this. 1 keeps none.

    Raises:
        ConfigurationError: A value is out of range.
    """

    segment: str = "action"
    iterations_per_action: int = 2
    order: Order = "hierarchical"
    reduction: Reduction = "sum"
    committed_confidence: CommittedConfidence = "one"
    value_temperature: float = 0.0
    warm_keep_above: float = 0.9

    def __post_init__(self) -> None:
        choices = (("order", Order), ("reduction", Reduction), ("committed_confidence", CommittedConfidence))
        for name, allowed in choices:
            self._require(name, getattr(self, name) in get_args(allowed), f"one of {get_args(allowed)}")
        for name, least in (("iterations_per_action", 1), ("value_temperature", 0)):
            self._require(name, getattr(self, name) >= least, f"at least {least}")
        self._require("warm_keep_above", 0 <= self.warm_keep_above <= 1, "in 0..1")

    def _require(self, name: str, condition: bool, rule: str) -> None:
        require(condition, "Hierarchical decoding", name, getattr(self, name), rule)


@dataclass(frozen=True)
class HierarchicalState(DecodeState):
    """A canvas in hierarchical decoding, with H actions of D tokens.

    Attributes:
        remaining: int64 `[B, H]`, denoising steps that each action still takes; 0 once it is complete.
        active: bool `[B, H]`, the action that has been begun, if there is one.
        action_of: int64 `[L]`, the action that each position belongs to; outside the segment, where nothing is
            masked, the nearest.
        span: Positions of the segment.
    """

    remaining: Tensor
    active: Tensor
    action_of: Tensor
    span: slice


class HierarchicalDenoiser:
    """Complete one action after the other, the surest first.

    One denoising step, with c the probability of each token proposed:

    1. Predict all masked tokens.
    2. If no action has been begun, begin the one of highest confidence C_i = sum_j c_ij; of equals, the earliest.
    3. Of that action commit the ceil(masked / steps left) most confident tokens; of equals, the earliest. All others
       stay masked, and so do all other actions.

    So an action of 7 tokens keeps 4 and is completed in the next step, and K actions take 2 K steps. Complete
    actions are never reopened. Actions that are given in whole take no step.
    """

    def __init__(self, config: HierarchicalConfig) -> None:
        self.config = config

    def start(
        self,
        canvas: Canvas,
        *,
        noise: Noise,
        frozen_tokens: Tensor | None,
        warm_start: WarmStart | None,
        device: torch.device,
    ) -> HierarchicalState:
        """Everything masked but the given positions and the sure actions of the warm start.

        Raises:
            ActionError: Frozen tokens or the warm start are malformed.
            ConfigurationError: The canvas lacks the segment, or has something to fill outside it.
        """
        tokens, frozen = canvas.initial(noise.batch_size, frozen_tokens, device)
        span = canvas.span(self.config.segment)
        segment = next(segment for segment in canvas.segments if segment.name == self.config.segment)
        self._require_fixed_outside(span, frozen)

        guess = usable_guess(canvas, warm_start, frozen)
        kept = self._kept(guess, frozen, span, segment.steps)
        tokens = torch.where(kept, guess.tokens, tokens)
        masked = tokens == canvas.mask_token
        left = _actions(masked, span, segment.steps).sum(dim=-1)
        remaining = left.clamp(max=self.config.iterations_per_action)
        position = torch.arange(canvas.length, device=device) - span.start
        return HierarchicalState(
            tokens=tokens,
            confidence=torch.where(kept, guess.confidence, frozen.float()),
            frozen=frozen,
            undecided=masked,
            num_steps=max(remaining.sum(dim=-1).tolist(), default=0),
            remaining=remaining,
            active=torch.zeros_like(remaining, dtype=torch.bool),
            action_of=position.clamp(0, segment.length - 1) // segment.dims,
            span=span,
        )

    def step(
        self, index: int, state: HierarchicalState, scores: Scores, noise: Noise
    ) -> tuple[HierarchicalState, StepTrace]:
        """One denoising step; the scores answer `state.tokens`."""
        log_p = torch.log_softmax(scores.logits.float(), dim=-1)
        masked = state.undecided
        drawn = sample(log_p, self.config.value_temperature, noise, step=index)
        proposal = torch.where(masked, drawn, state.tokens)
        probability = probability_of(proposal, log_p)

        chosen = self._chosen(state, probability, masked)
        after, trace = commit(state, self._most_confident(state, chosen, probability, masked), proposal, probability)
        remaining = (state.remaining - chosen.long()).clamp_min(0)
        return replace(after, remaining=remaining, active=chosen & (remaining > 0)), trace

    def _require_fixed_outside(self, span: slice, frozen: Tensor) -> None:
        outside = int((~frozen).sum()) - int((~frozen[:, span]).sum())
        if outside:
            raise ConfigurationError(
                f"Hierarchical decoding fills only the segment '{self.config.segment}', but {outside} other positions "
                f"are free; freeze them, or choose the joint decoder."
            )

    def _kept(self, guess: WarmStart, frozen: Tensor, span: slice, actions: int) -> Tensor:
        """Positions of the actions that are taken over from the guess, bool `[B, L]`."""
        free = _actions(~frozen, span, actions)
        guessed = _actions(guess.tokens != FREE, span, actions)
        mean = _actions(guess.confidence, span, actions).double().sum(dim=-1) / free.sum(dim=-1).clamp_min(1)
        sure = (guessed == free).all(dim=-1) & (mean > self.config.warm_keep_above)
        kept = torch.zeros_like(frozen)
        kept[:, span] = (sure.unsqueeze(-1) & free).flatten(1)
        return kept

    def _chosen(self, state: HierarchicalState, probability: Tensor, masked: Tensor) -> Tensor:
        """The one action of each chunk that this step works on, bool `[B, H]`; any where all are complete."""
        rank = self._action_confidence(state, probability, masked)
        if state.first is not None:
            needed = state.first.expand_as(masked)
            rank = others_last(rank, _actions(needed, state.span, rank.shape[1]).any(dim=-1))
        rank = rank.masked_fill(state.remaining == 0, -torch.inf).masked_fill(state.active, torch.inf)
        best = rank.argmax(dim=-1, keepdim=True)  # of equals the first, that is the earliest action
        return torch.zeros_like(state.active).scatter(-1, best, True)

    def _action_confidence(self, state: HierarchicalState, probability: Tensor, masked: Tensor) -> Tensor:
        """C_i, float64 `[B, H]`: in double precision the sum does not depend on the order of its terms."""
        if self.config.order == "chronological":
            return torch.zeros_like(state.remaining, dtype=torch.float64)
        committed_as = self.config.committed_confidence
        each = probability if committed_as == "held" else probability.masked_fill(~masked, 1.0)
        counted = masked if committed_as == "left_out" else torch.ones_like(masked)
        weight = _actions(counted, state.span, state.remaining.shape[1]).double()
        total = (_actions(each, state.span, state.remaining.shape[1]).double() * weight).sum(dim=-1)
        return total if self.config.reduction == "sum" else total / weight.sum(dim=-1).clamp_min(1)

    @staticmethod
    def _most_confident(state: HierarchicalState, chosen: Tensor, probability: Tensor, masked: Tensor) -> Tensor:
        """The tokens of the chosen action that are committed in this step, bool `[B, L]`."""
        pool = masked & chosen.index_select(1, state.action_of)
        left = pool.sum(dim=-1, keepdim=True)
        steps = (state.remaining * chosen).sum(dim=-1, keepdim=True).clamp_min(1)
        return pool & ~lowest(probability, pool, left - (left + steps - 1) // steps)


def _actions(values: Tensor, span: slice, actions: int) -> Tensor:
    """The segment's part of `[B, L]` as `[B, H, D]`."""
    return values[:, span].reshape(values.shape[0], actions, -1)
