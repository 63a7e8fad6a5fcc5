"""When to look and infer again, and what the next chunk must agree with: four modes on one grid of due times.

    sync               look when the arm has come to rest, infer, execute `execute_steps` rows, and again
    async              look and infer while the arm moves; the newest chunk wins (the naive way, for comparison)
    inpaint            the same, but the rows that will be executed meanwhile are fixed in the chunk that is inferred
    temporal_ensemble  look as often as possible and execute the mean of all chunks for a due time (ACT)

Rows are numbered from the look: row 0 of a new chunk starts at the due time of a row of the chunk before, and the
observation is made when the arm is where that row begins, `tracking_lag_s` after it was due there. In-painting for
discrete diffusion is DiscreteRTC's (arXiv 2604.25050); here the delay is not assumed but a percentile of what was
measured, on the grid of due times.
"""

import math
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.delay import DelayEstimate, steps_during
from dvla_ros.control.ensemble import TemporalEnsemble
from dvla_ros.errors import ConfigurationError

MODES = ("sync", "async", "inpaint", "temporal_ensemble")

_LATE_LOOK = 0.25
"""A look that would come later than this part of a row waits for the next row instead."""

_NEAREST = 0.5
"""An observation belongs to the nearest row: it may be this part of a row later than asked for."""


@dataclass(frozen=True)
class ReplanningConfig:
    """How chunks follow each other.

    Attributes:
        mode: One of `MODES`.
        lead_s: Time from publication until the chunk is with the controller.
        settle_s: Rest of the arm before an observation that waits for rest, in seconds.
        tracking_lag_s: How far the moving arm is behind its command, in seconds.
        delay_percentile: Of the measured inference times, for the rows that are fixed.
        warm_start: In-painting: start the open rows from the chunk before, its least certain tokens masked again.
        early_stop: In-painting: decoding may end when the rows before the next chunk are decided.
        deadline_s: Decoding ends after so many seconds with what it has; 0: only when the rows run out.
        ensemble_decay: Weights of the mean are exp(-decay * i), the oldest chunk first.

    Raises:
        ConfigurationError: The mode is unknown or a time is negative.
    """

    mode: str = "inpaint"
    lead_s: float = 0.02
    settle_s: float = 0.12
    tracking_lag_s: float = 0.1
    delay_percentile: float = 95.0
    warm_start: bool = False
    early_stop: bool = True
    deadline_s: float = 0.0
    ensemble_decay: float = 0.01

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigurationError(f"replanning must be one of {', '.join(MODES)}, got '{self.mode}'.")
        for name in ("lead_s", "settle_s", "tracking_lag_s", "deadline_s", "ensemble_decay"):
            if not getattr(self, name) >= 0.0:
                raise ConfigurationError(f"{name} must be 0 or more, got {getattr(self, name)}.")
        if not 0.0 <= self.delay_percentile <= 100.0:
            raise ConfigurationError(f"delay_percentile must lie in 0..100, got {self.delay_percentile}.")


@dataclass(frozen=True)
class ChunkLayout:
    """What every chunk of a policy has in common; the names are those of `ActionChunk`."""

    dt: float
    horizon: int
    execute_steps: int
    mode: ControlMode
    names: tuple[str, ...]


@dataclass(frozen=True)
class Ask:
    """What to ask the policy for.

    Attributes:
        began: When the inference begins, in seconds.
        stamp: Due time of row 0 in seconds; None: as soon as the answer is there.
        execute_steps: Rows that will be executed before the chunk after this one is there.
        frozen: float32 `[d, D]`, rows that are executed meanwhile.
        guess: float32 `[H, D]`, what the chunk before says of the same rows, NaN where it says nothing; None: no guess.
        guess_confidence: float32 `[H, D]` in 0..1.
        needed_steps: Rows that must be decided; None: all.
        deadline_s: Decoding must end within so many seconds; None: no deadline.
    """

    began: float
    stamp: float | None
    execute_steps: int
    frozen: np.ndarray
    guess: np.ndarray | None = None
    guess_confidence: np.ndarray | None = None
    needed_steps: int | None = None
    deadline_s: float | None = None


@dataclass(frozen=True)
class Answer:
    """What the policy answered: `[H, D]` actions and confidence, and how many leading rows were decided."""

    actions: np.ndarray
    confidence: np.ndarray
    decided_steps: int


class Replanner:
    """Plans looks and chunks of one arm. Belongs to one thread.

    The caller asks `look_at` when to observe, `ask` what to ask for, and `chunk` for the chunk to publish; it reports
    what became of chunks with `refused` and `dropped`.

    Attributes:
        delay: Durations from `ask` to `chunk`.
    """

    def __init__(self, config: ReplanningConfig, layout: ChunkLayout) -> None:
        self.delay = DelayEstimate(config.delay_percentile)
        self._config, self._layout = config, layout
        self._ensemble = TemporalEnsemble(config.ensemble_decay)
        self._epoch = self._sequence = self._first = 0
        self._newest: ActionChunk | None = None
        self._before: ActionChunk | None = None
        self._not_before = 0.0

    def start(self, epoch: int, now: float) -> None:
        """A new run: nothing is being executed, chunks count from 0 in `epoch`, observations from `now` (seconds)."""
        self._epoch, self._sequence = epoch, 0
        self._forget(now)

    def look_at(self, now: float) -> float:
        """Oldest anchor of the next observation, in seconds; it may lie in the future."""
        plan = self._current(now)
        return self._not_before if plan is None else plan.stamp + self._first * plan.dt + self._config.tracking_lag_s

    def ask(self, now: float, anchor: float) -> Ask:
        """What to ask for at `now`, given an observation of the time `anchor` (both in seconds)."""
        plan, config = self._current(now), self._config
        if plan is None:
            steps = self._layout.execute_steps if config.mode == "sync" else self._executed(self._delay_steps)
            return Ask(now, None, steps, self._no_rows(), deadline_s=config.deadline_s or None)
        first = max(self._first, self._row_at(plan, anchor, _NEAREST))
        stamp, deadline = plan.stamp + first * plan.dt, self._deadline(plan, now)
        during = steps_during(now + self.delay.seconds + config.lead_s - stamp, plan.dt)
        if config.mode != "inpaint":
            return Ask(now, stamp, self._executed(during), self._no_rows(), deadline_s=deadline)
        frozen = plan.actions[first : first + during]
        executed = self._executed(len(frozen))
        guess, confidence = self._guess(plan, first) if config.warm_start else (None, None)
        needed = executed if config.early_stop else None
        return Ask(now, stamp, executed, frozen, guess, confidence, needed, deadline)

    def chunk(self, ask: Ask, answer: Answer, anchor: float, now: float) -> ActionChunk:
        """The chunk to publish at `now` for an answer; it is taken to be executed until `refused` says otherwise.

        Args:
            ask: What the policy was asked.
            answer: What it answered.
            anchor: Time of the observation in seconds.
            now: Seconds.
        """
        self.delay.record(now - ask.began)
        layout, config = self._layout, self._config
        stamp = now + config.lead_s if ask.stamp is None else ask.stamp
        actions = answer.actions
        if config.mode == "temporal_ensemble":
            actions = self._ensemble.add(stamp, layout.dt, actions, layout.mode)
        chunk = ActionChunk(
            stamp=stamp,
            dt=layout.dt,
            actions=actions,
            mode=layout.mode,
            names=layout.names,
            sequence=self._sequence,
            epoch=self._epoch,
            execute_steps=ask.execute_steps,
            execute_reserve=config.mode != "sync",
            frozen_steps=len(ask.frozen),
            decided_steps=answer.decided_steps,
            observation_stamp=anchor,
            confidence=answer.confidence,
        )
        self._sequence += 1
        self._before, self._newest = self._newest, chunk
        if config.mode == "sync":
            self._not_before = stamp + layout.execute_steps * layout.dt + config.settle_s
        self._first = max(self._least_first, self._row_at(chunk, now, _LATE_LOOK))
        return chunk

    def refused(self, epoch: int, sequence: int, now: float) -> None:
        """A chunk was not taken over: what was executed before it goes on, or the arm rests from `now` (seconds) on."""
        if self._newest is None or (epoch, sequence) != (self._newest.epoch, self._newest.sequence):
            return
        self._newest, self._before = self._before, None
        self._ensemble.clear()
        if self._newest is None or self._config.mode == "sync":
            self._forget(now)
        else:
            self._wait_for_next_row(self._newest, now)

    def unanswered(self, now: float) -> None:
        """The policy had no usable answer: look again with the next row, or at once while the arm rests."""
        if self._newest is not None and self._config.mode != "sync":
            self._wait_for_next_row(self._newest, now)

    def dropped(self, now: float) -> None:
        """The arm was held and its rows were dropped at `now` (seconds): the next chunk starts from rest."""
        self._forget(now)

    def _forget(self, now: float) -> None:
        self._newest = self._before = None
        self._ensemble.clear()
        self._not_before = now + (self._config.settle_s if self._sequence else 0.0)

    def _current(self, now: float) -> ActionChunk | None:
        """The chunk that the next one is to join; None when the arm is at rest, or will be before that is there."""
        plan = self._newest
        if plan is None or self._config.mode == "sync":
            return None
        if self._first < plan.horizon and now < plan.end:
            return plan
        self._forget(max(now, plan.end))
        return None

    @property
    def _least_first(self) -> int:
        return 1 if self._config.mode == "temporal_ensemble" else self._layout.execute_steps

    @property
    def _delay_steps(self) -> int:
        return steps_during(self.delay.seconds + self._config.lead_s, self._layout.dt)

    def _row_at(self, plan: ActionChunk, time: float, late: float) -> int:
        """The row that an observation of `time` belongs to, which may be this part of a row late."""
        return math.ceil((time - self._config.tracking_lag_s - plan.stamp) / plan.dt - late)

    def _wait_for_next_row(self, plan: ActionChunk, now: float) -> None:
        self._first = max(self._least_first, self._row_at(plan, now, 0.0) + 1)

    def _executed(self, during: int) -> int:
        """Rows of a chunk that are executed before the next one is there, when `during` begin while one is inferred.

        One more than expected: an inference may take longer than estimated.
        """
        return min(self._layout.horizon, max(self._least_first, during) + during + 1)

    def _guess(self, plan: ActionChunk, first: int) -> tuple[np.ndarray, np.ndarray]:
        """What `plan` says of the rows from `first` on, filled up with NaN."""
        guess = np.full_like(plan.actions, np.nan)
        confidence = np.zeros_like(plan.actions)
        known = plan.horizon - first
        guess[:known] = plan.actions[first:]
        if plan.confidence is not None:
            confidence[:known] = plan.confidence[first:]
        return guess, confidence

    def _deadline(self, plan: ActionChunk, now: float) -> float | None:
        """Seconds until the rows run out, or the configured ones if those are fewer; None when it is too late."""
        left = plan.end - self._config.lead_s - now
        if left <= 0.0:
            return self._config.deadline_s or None
        return min(left, self._config.deadline_s) if self._config.deadline_s else left

    def _no_rows(self) -> np.ndarray:
        return np.empty((0, len(self._layout.names)), np.float32)
