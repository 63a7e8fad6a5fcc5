"""Discrete flow matching: every token may change at every step. DFM-VLA (arXiv 2603.26320)."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import FREE, Canvas, WarmStart
from dvla_ros.denoising.flow_paths import (
    WHAT,
    MetricPath,
    MixturePath,
    ProbabilityPath,
    Schedule,
    Source,
    id_distance,
    require_distance,
    require_metric_constants,
    require_mixture_choices,
)
from dvla_ros.denoising.flow_plan import FlowPlan, RowSteps
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.sampling import likeliest, sample, sample_weights
from dvla_ros.denoising.state import DecodeState, Scores, StepTrace
from dvla_ros.denoising.validation import require
from dvla_ros.errors import ActionError, ConfigurationError

Path = Literal["embedding", "mixture", "head"]
Jump = Literal["exponential", "linear"]
LastStep = Literal["sample", "jump"]

_ROUND_OFF = 1e-9  # keeps ceil() from adding a step where the product is a whole number but for rounding
_PROPOSAL, _JUMP, _TARGET = range(3)  # draws of one step


@dataclass(frozen=True)
class FlowConfig:
    """Settings of `FlowDenoiser`; the defaults are the best ones of DFM-VLA, which has no released code.

    Attributes:
        fine_steps: Steps in which tokens jump (T_fine), from t = 0 on.
        validate_steps: Arg-max steps after them (T_val); t advances by 1 / (fine + validate steps) in every step.
        path: Where the rates of jumping come from: `embedding`, the kinetic-optimal velocity of `MetricPath`;
            `mixture`, the velocity of `MixturePath`; `head`, the network's own rates, trained on the mixture path.
        c: beta_t = c (t / (1 - t))^alpha of the embedding path.
        alpha: Its exponent; 0.9 in FUDOKI.
        schedule: kappa_t of the mixture path.
        power: Exponent of its polynomial schedule.
        source: Where decoding starts: `uniform` over each position's own vocabulary; `mask`, the mask token (only
            with the mixture path or the rate head).
        jump: Probability of a jump at total rate lambda in a step of width h: `exponential`, 1 - exp(-h lambda)
            (FUDOKI); `linear`, min(1, h lambda) (paper).
        value_temperature: Of drawing x_1 from the network's answer; 0 is arg-max.
        last_step: What the last step does when it is a fine one: `sample`, take the drawn x_1 (as FUDOKI and Gat et
            al. do); `jump`, as all others.
        warm_start_time: t_0 at which rows with a guess begin, in [0, 1); their steps before it are skipped.
        adaptive_steps: Take max(1, floor(T * unknown / L)) steps, fine and validating in proportion and at least one
            of the latter if there are any, when part of the canvas is given (DiscreteRTC, arXiv 2604.25050).

    Raises:
        ConfigurationError: A value is out of range.
    """

    fine_steps: int = 14
    validate_steps: int = 2
    path: Path = "embedding"
    c: float = 3.0
    alpha: float = 1.0
    schedule: Schedule = "polynomial"
    power: float = 1.0
    source: Source = "uniform"
    jump: Jump = "exponential"
    value_temperature: float = 1.0
    last_step: LastStep = "sample"
    warm_start_time: float = 0.5
    adaptive_steps: bool = True

    def __post_init__(self) -> None:
        for name, allowed in (("path", Path), ("jump", Jump), ("last_step", LastStep)):
            self._require(name, getattr(self, name) in get_args(allowed), f"one of {get_args(allowed)}")
        require_metric_constants(self.c, self.alpha)
        require_mixture_choices(self.schedule, self.power, self.source)
        for name in ("fine_steps", "validate_steps", "value_temperature"):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        self._require("num_steps", self.num_steps >= 1, "at least 1 (fine_steps + validate_steps)")
        self._require("warm_start_time", 0 <= self.warm_start_time < 1, "at least 0 and below 1")
        if self.source == "mask":
            self._require("path", self.path != "embedding", "'mixture' or 'head' where source is 'mask'")
            ends_complete = self.validate_steps > 0 or self.last_step == "sample"
            self._require("last_step", ends_complete, "'sample' where source is 'mask' and there is no validate step")

    def _require(self, name: str, condition: bool, rule: str) -> None:
        require(condition, WHAT, name, getattr(self, name), rule)

    @property
    def num_steps(self) -> int:
        """T for an empty canvas."""
        return self.fine_steps + self.validate_steps

    def probability_path(
        self, vocabulary: int, distance: Tensor | None = None, device: torch.device | None = None
    ) -> ProbabilityPath:
        """The path to train on and to decode along.

        Args:
            vocabulary: V.
            distance: float `[V, V]` of the embedding path, such as `embedding_distance(table)`; None for
                `id_distance`, which is right where the order of the ids is that of their values, as for bins.
            device: Where the path is used; None for where the distances are, or the CPU.

        Raises:
            ConfigurationError: The distance is malformed or of another vocabulary.
        """
        if self.path != "embedding":
            return MixturePath(vocabulary, self.schedule, self.power, self.source)
        if distance is None:
            distance = id_distance(vocabulary)
        if distance.shape[-1] != vocabulary:
            raise ConfigurationError(
                f"The distance matrix is of {distance.shape[-1]} ids and the canvas has {vocabulary}; "
                "compute it from the embeddings of the canvas' own ids."
            )
        return MetricPath(distance.to(device), self.c, self.alpha)


@dataclass(frozen=True)
class FlowState(DecodeState):
    """A canvas in flow matching.

    Attributes:
        plan: The time of every step.
        path: Probability path on the device of the canvas.
        allowed: bool `[L, V]`, ids that each position may hold; None when all segments have one vocabulary.
    """

    plan: FlowPlan
    path: ProbabilityPath
    allowed: Tensor | None


class FlowDenoiser:
    """Start from noise; at each position draw x_1 from the network's answer and jump towards it at the path's rate.

    One denoising step at time t, of width h, from the token z at a position:

    1. p = softmax(logits), x_1 ~ p.
    2. u(x), the rate of jumping from z to x, along the path towards x_1 (or the rate head's own), with u(z) = 0.
    3. lambda = sum_x u(x). With probability 1 - exp(-h lambda) the new token is drawn from u / lambda.

    The last `validate_steps` take arg-max p everywhere instead. After one that changes nothing a row is complete: the
    network would see the same canvas again. No token is ever committed for good before that, and none is masked.

    Args:
        config: Settings.
        distance: float `[V, V]` of the embedding path; None for `id_distance`.
    """

    def __init__(self, config: FlowConfig, distance: Tensor | None = None) -> None:
        if distance is not None:
            require_distance(distance)
        self.config = config
        self._distance = distance
        self._paths: dict[tuple[int, torch.device], ProbabilityPath] = {}  # of every canvas so far: costly to make

    def with_distance(self, distance: Tensor) -> "FlowDenoiser":
        """The same decoder with the distances of a checkpoint, e.g. `embedding_distance(table)`, float `[V, V]`.

        Raises:
            ConfigurationError: The matrix is malformed.
        """
        return FlowDenoiser(self.config, distance)

    def start(
        self,
        canvas: Canvas,
        *,
        noise: Noise,
        frozen_tokens: Tensor | None,
        warm_start: WarmStart | None,
        device: torch.device,
    ) -> FlowState:
        """Noise everywhere but at the given positions and at the guesses of a warm start; those may change.

        Raises:
            ActionError: `frozen_tokens` or `warm_start` has the wrong shape or an unknown id.
            ConfigurationError: The distances are those of another vocabulary.
        """
        given, frozen = canvas.initial(noise.batch_size, frozen_tokens, device)
        guess = _guess(canvas, warm_start, frozen)
        tokens = torch.where(frozen, given, torch.where(guess == FREE, self._source(canvas, noise, device), guess))
        unknown, guessed = (~frozen).sum(dim=-1).tolist(), (guess != FREE).any(dim=-1).tolist()
        rows = [self._row_steps(u, canvas, g) for u, g in zip(unknown, guessed, strict=True)]
        plan = FlowPlan.make(rows, device)
        return FlowState(
            tokens=tokens,
            confidence=frozen.float(),
            frozen=frozen,
            undecided=~frozen,
            num_steps=plan.num_steps,
            plan=plan,
            path=self._path(canvas.vocabulary, device),
            allowed=None if canvas.one_vocabulary else canvas.allowed(device),
        )

    def step(self, index: int, state: FlowState, scores: Scores, noise: Noise) -> tuple[FlowState, StepTrace]:
        """One denoising step from the scores of `state.tokens`.

        Raises:
            ActionError: The path is `head` and the network has no rates.
        """
        plan, logits = state.plan, scores.logits.float()
        p = torch.softmax(logits, dim=-1)
        if not plan.has_fine[index]:
            chosen = likeliest(logits)
        else:
            chosen = self._fine_step(index, state, logits, p, scores.rates, noise)
            if plan.has_validating[index]:
                chosen = torch.where(plan.validates[index], likeliest(logits), chosen)
        tokens = torch.where(state.undecided, chosen, state.tokens)
        changed = tokens != state.tokens
        undecided = state.undecided
        if plan.has_last[index] or plan.has_validating[index]:
            complete = plan.is_last[index] | (plan.validates[index] & ~changed.any(dim=-1, keepdim=True))
            undecided = undecided & ~complete

        held = _probability(p, tokens)
        after = replace(
            state,
            tokens=tokens,
            confidence=torch.where(state.undecided, held, state.confidence),
            undecided=undecided,
        )
        shown = held.masked_fill(state.frozen, 1.0)
        return after, StepTrace(tokens, shown, changed, torch.zeros_like(changed), state.frozen)

    def _path(self, vocabulary: int, device: torch.device) -> ProbabilityPath:
        key = vocabulary, device
        if key not in self._paths:
            self._paths[key] = self.config.probability_path(vocabulary, self._distance, device)
        return self._paths[key]

    def _source(self, canvas: Canvas, noise: Noise, device: torch.device) -> Tensor:
        """x_0, int64 `[B, L]`."""
        if self.config.source == "mask":
            return torch.full((noise.batch_size, canvas.length), canvas.mask_token, dtype=torch.int64, device=device)
        sizes = canvas.vocabularies(device)
        return torch.minimum((noise.uniform(canvas.length, step=-1) * sizes).long(), sizes - 1)

    def _row_steps(self, unknown: int, canvas: Canvas, guessed: bool) -> RowSteps:
        if unknown == 0:
            return RowSteps(total=0, validating=0, skipped=0)
        config = self.config
        total = canvas.steps(config.num_steps, unknown) if config.adaptive_steps else config.num_steps
        validating = math.ceil(config.validate_steps * total / config.num_steps - _ROUND_OFF)
        before = math.ceil(config.warm_start_time * total - _ROUND_OFF) if guessed else 0
        return RowSteps(total, validating, skipped=min(before, total - max(1, validating)))

    def _fine_step(
        self, index: int, state: FlowState, logits: Tensor, p: Tensor, rates: Tensor | None, noise: Noise
    ) -> Tensor:
        """The tokens after steps 1 to 3, int64 `[B, L]`."""
        if self.config.value_temperature == 1:
            proposal = sample_weights(p, noise, step=index, draw=_PROPOSAL)
        else:
            proposal = sample(logits, self.config.value_temperature, noise, step=index, draw=_PROPOSAL)
        velocity = self._velocity(index, state, proposal, rates)
        expected_jumps = state.plan.width * velocity.sum(dim=-1)
        if self.config.jump == "linear":
            probability = expected_jumps.clamp(max=1.0)
        else:
            probability = -torch.expm1(-expected_jumps)
        jumps = noise.uniform(p.shape[1], step=index, draw=_JUMP) <= probability
        target = sample_weights(velocity, noise, step=index, draw=_TARGET)
        moved = torch.where(jumps, target, state.tokens)
        if self.config.last_step == "sample" and state.plan.has_last[index]:
            return torch.where(state.plan.is_last[index], proposal, moved)
        return moved

    def _velocity(self, index: int, state: FlowState, proposal: Tensor, rates: Tensor | None) -> Tensor:
        """Rates of jumping, float32 `[B, L, V]`, 0 for staying."""
        if self.config.path != "head":
            return state.path.velocity(state.tokens, proposal, state.plan.time[index], state.allowed)
        if rates is None:
            raise ActionError("The flow path 'head' needs a network with a rate head; choose 'embedding' or 'mixture'.")
        stays = torch.arange(rates.shape[-1], device=rates.device) == state.tokens.unsqueeze(-1)
        return rates.float().masked_fill(stays, 0.0)


def _guess(canvas: Canvas, warm_start: WarmStart | None, frozen: Tensor) -> Tensor:
    """The guesses where there is one and the position is not frozen, else `FREE`; int64 `[B, L]`."""
    nothing = torch.full_like(frozen, FREE, dtype=torch.int64)
    if warm_start is None:
        return nothing
    canvas.check_ids(warm_start.tokens, frozen.shape[0], "The guess of a warm start")
    return torch.where(frozen, nothing, warm_start.tokens.to(frozen.device, torch.int64))


def _probability(p: Tensor, tokens: Tensor) -> Tensor:
    """What p gives the tokens, float32 `[B, L]`; 0 for MASK."""
    vocabulary = p.shape[-1]
    held = p.gather(-1, tokens.clamp_max(vocabulary - 1).unsqueeze(-1)).squeeze(-1)
    return held.masked_fill(tokens == vocabulary, 0.0)
