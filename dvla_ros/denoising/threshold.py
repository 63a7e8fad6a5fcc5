"""Acceptance decoding: every token that is sure enough at once, as many or few as that may be (Fast-dLLM)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import Canvas, WarmStart
from dvla_ros.denoising.commit import commit
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.sampling import entropy, others_last, probability_of, rank_from_lowest, sample
from dvla_ros.denoising.schedules import even_counts
from dvla_ros.denoising.state import DecodeState, Scores, StepTrace
from dvla_ros.denoising.validation import require
from dvla_ros.denoising.warm_start import starting_canvas

Accept = Literal["threshold", "factor", "entropy_bound"]
AtLeast = Literal["one", "quota"]


@dataclass(frozen=True)
class ThresholdConfig:
    """Settings of `ThresholdDenoiser`.

    Attributes:
        num_steps: T, the most steps of an empty canvas; the last one commits whatever is left.
        accept: Which tokens are sure enough. With c_(n) the n-th highest confidence and H_(n) the n-th lowest entropy
            of the masked positions: `threshold`, c_(n) > threshold; `factor`, (n + 1) (1 - c_(n)) < factor
            (both Fast-dLLM, arXiv 2505.22618); `entropy_bound`, H_(1) + ... + H_(n-1) <= entropy_bound, so that the
            tokens accepted together are nearly independent (EB-Sampler, arXiv 2505.24857).
        threshold: Confidence for `threshold`.
        factor: f for `factor`; the larger, the more tokens at once.
        entropy_bound: In nats, for `entropy_bound`.
        at_least: Tokens that a step commits even if none is sure enough: `one`, the surest (Fast-dLLM); `quota`,
            LLaDA's even share of the step, so that a hard canvas is spread over all the steps (block refinement).
        value_temperature: 0 proposes the arg-max.
        warm_keep: Share of a warm start's guesses that is kept, the most confident ones.
        adaptive_steps: Take at most max(1, floor(T * unknown / free)) steps when part of the canvas is given or guessed
            (DiscreteRTC, arXiv 2604.25050), instead of T.

    Raises:
        ConfigurationError: A value is out of range.
    """

    num_steps: int = 12
    accept: Accept = "threshold"
    threshold: float = 0.9
    factor: float = 1.0
    entropy_bound: float = 0.1
    at_least: AtLeast = "quota"
    value_temperature: float = 0.0
    warm_keep: float = 0.5
    adaptive_steps: bool = True

    def __post_init__(self) -> None:
        self._require("num_steps", self.num_steps >= 1, "at least 1")
        self._require("accept", self.accept in get_args(Accept), f"one of {get_args(Accept)}")
        self._require("at_least", self.at_least in get_args(AtLeast), f"one of {get_args(AtLeast)}")
        for name in ("threshold", "warm_keep"):
            self._require(name, 0 <= getattr(self, name) <= 1, "in 0..1")
        for name in ("factor", "entropy_bound", "value_temperature"):
            self._require(name, getattr(self, name) >= 0, "at least 0")

    def _require(self, name: str, condition: bool, rule: str) -> None:
        require(condition, "Threshold decoding", name, getattr(self, name), rule)


@dataclass(frozen=True)
class ThresholdState(DecodeState):
    """A canvas in threshold decoding.

    Attributes:
        at_least: int64 `[S, B, 1]`, tokens that each step commits even if none is sure enough.
    """

    at_least: Tensor


StateT = TypeVar("StateT", bound=ThresholdState)


class ThresholdDenoiser:
    """Commit all that is sure enough; the surest in any case; what is left in the last step.

    One denoising step:

    1. p = softmax(logits); propose z, the arg-max or a sample of p, at every masked position.
    2. Rank the masked positions by the confidence p(z), or by the entropy of p.
    3. Commit those that are accepted, and the k surest whether accepted or not, for good.

    An easy canvas takes few steps: with `finish_early` the loop ends as soon as nothing is masked.
    """

    def __init__(self, config: ThresholdConfig) -> None:
        self.config = config

    def start(
        self,
        canvas: Canvas,
        *,
        noise: Noise,
        frozen_tokens: Tensor | None,
        warm_start: WarmStart | None,
        device: torch.device,
    ) -> ThresholdState:
        """Everything masked but the given and the surest guessed positions.

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
        columns = [self._at_least(unknown, canvas) for unknown in begin.masked.sum(dim=-1).tolist()]
        longest = max(len(column) for column in columns)
        table = [[column[s] if s < len(column) else 0 for column in columns] for s in range(longest)]
        return ThresholdState(
            tokens=begin.tokens,
            confidence=begin.confidence,
            frozen=begin.frozen,
            undecided=begin.masked,
            num_steps=longest,
            at_least=torch.tensor(table, dtype=torch.int64, device=device).reshape(longest, len(columns), 1),
        )

    def step(self, index: int, state: StateT, scores: Scores, noise: Noise) -> tuple[StateT, StepTrace]:
        """One denoising step; `scores` answer `state.tokens`."""
        masked = state.undecided
        log_p = torch.log_softmax(scores.logits.float(), dim=-1)
        proposal = torch.where(masked, sample(log_p, self.config.value_temperature, noise, step=index), state.tokens)
        probability = probability_of(proposal, log_p)

        entropies = entropy(log_p) if self.config.accept == "entropy_bound" else None
        certainty = probability if entropies is None else -entropies
        place = masked.sum(dim=-1, keepdim=True) - rank_from_lowest(certainty, masked)  # n, from 1 for the surest
        turn = place
        if state.first is not None:
            turn = masked.sum(dim=-1, keepdim=True) - rank_from_lowest(others_last(certainty, state.first), masked)
        chosen = masked & (self._accepted(probability, entropies, place, masked) | (turn <= state.at_least[index]))
        return commit(state, chosen, proposal, probability)

    def _at_least(self, unknown: int, canvas: Canvas) -> list[int]:
        """Least number of tokens in each step of a chunk; they add up to at least `unknown`."""
        most = self.config.num_steps
        if self.config.adaptive_steps:
            most = canvas.steps(most, unknown)
        steps = min(most, unknown)
        if self.config.at_least == "one":
            return [1] * (steps - 1) + [unknown] * (steps > 0)
        counts = [unknown, *even_counts(unknown, most)]
        return [before - after for before, after in pairwise(counts)]

    def _accepted(self, probability: Tensor, entropies: Tensor | None, place: Tensor, masked: Tensor) -> Tensor:
        """Positions that are sure enough, bool `[B, L]`; only its masked ones mean anything."""
        if entropies is not None:
            return _sum_of_surer(entropies, place, masked) <= self.config.entropy_bound
        if self.config.accept == "factor":
            return (place + 1) * (1 - probability) < self.config.factor
        return probability > self.config.threshold


def _sum_of_surer(entropies: Tensor, place: Tensor, masked: Tensor) -> Tensor:
    """For each masked position the sum of the entropies of the masked positions before it in `place`, `[B, L]`."""
    last = entropies.shape[-1]
    slot = torch.where(masked, place - 1, last)  # all that is not masked falls into a slot after the last
    in_order = entropies.new_zeros(entropies.shape[0], last + 1).scatter(-1, slot, entropies)
    before = in_order.cumsum(dim=-1) - in_order
    return before.gather(-1, slot)
