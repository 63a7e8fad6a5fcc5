"""The one interface behind which every system runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ActionError


@dataclass(frozen=True)
class PolicySpec:
    """What a policy needs to see and what it produces; read from its checkpoint.

    Attributes:
        system: Name of the published system, e.g. `dd_vla`.
        cameras: Camera names it must be given, in order.
        state_dim: Length of the state vector.
        action_names: D column names, e.g. `("dx", ..., "gripper")`.
        mode: What a row means.
        horizon: Rows of a chunk, H.
        execute_steps: Rows to execute before asking again.
        dt: Seconds between rows.
        imagines: Whether predictions hold an imagined image of each camera.
        reasons: Whether predictions hold a reasoning text.
    """

    system: str
    cameras: tuple[str, ...]
    state_dim: int
    action_names: tuple[str, ...]
    mode: ControlMode
    horizon: int
    execute_steps: int
    dt: float
    imagines: bool = False
    reasons: bool = False


@dataclass(frozen=True)
class Guess:
    """What the rows of a chunk may well become, such as the rows of the previous chunk that are still to come.

    Attributes:
        actions: float32 `[H, D]` in physical units; a row of NaN where nothing is guessed.
        confidence: float32 `[H, D]` in 0..1, how sure the guess is; not looked at where nothing is guessed.

    Raises:
        ActionError: The shapes differ, a row is guessed in part, a number is infinite or a confidence is not in 0..1.
    """

    actions: np.ndarray
    confidence: np.ndarray

    def __post_init__(self) -> None:
        if self.actions.ndim != 2 or self.actions.shape != self.confidence.shape:
            raise ActionError(
                f"A guess needs actions and confidence of one shape [H, D], got {list(self.actions.shape)} and "
                f"{list(self.confidence.shape)}."
            )
        known = self.guessed
        partial = np.flatnonzero(~known & ~np.isnan(self.actions).all(axis=1)).tolist()
        if partial:
            raise ActionError(f"The rows {partial} of a guess hold NaN or infinity beside numbers; guess whole rows.")
        sure = self.confidence[known]
        if not ((sure >= 0) & (sure <= 1)).all():
            raise ActionError("The confidences of a guess must be in 0..1; some are not, or are NaN.")

    @classmethod
    def of_leading(cls, actions: np.ndarray, confidence: np.ndarray, horizon: int) -> "Guess":
        """A guess of the first n rows and of no later one.

        Args:
            actions: `[n, D]` in physical units; of more than `horizon` rows the later ones are left out.
            confidence: `[n, D]` in 0..1.
            horizon: H.
        """
        rows = np.full((horizon, actions.shape[1]), np.nan, dtype=np.float32)
        sure = np.zeros_like(rows)
        rows[: len(actions)], sure[: len(confidence)] = actions[:horizon], confidence[:horizon]
        return cls(rows, sure)

    @property
    def guessed(self) -> np.ndarray:
        """Rows that are guessed, bool `[H]`."""
        known: np.ndarray = np.isfinite(self.actions).all(axis=1)
        return known


@dataclass(frozen=True)
class CanvasPart:
    """A named run of canvas positions, row-major over rows x columns."""

    name: str
    rows: int
    columns: int


@dataclass(frozen=True)
class DenoisingStep:
    """One denoising step over all positions L of the canvas, part after part.

    Attributes:
        tokens: int32 `[L]`, the canvas after the step; still masked positions hold `mask_token`.
        confidence: float32 `[L]`, probability of the token proposed at each position.
        committed: bool `[L]`, positions that received their token in this step.
        remasked: bool `[L]`, positions that lost their token in this step.
        frozen: bool `[L]`, positions fixed by the caller.
    """

    tokens: np.ndarray
    confidence: np.ndarray
    committed: np.ndarray
    remasked: np.ndarray
    frozen: np.ndarray


@dataclass(frozen=True)
class Timings:
    """Seconds spent in each part of one prediction."""

    preprocess_s: float
    prefill_s: float
    denoise_s: float
    decode_s: float

    @property
    def total_s(self) -> float:
        """Sum of the parts in seconds."""
        return self.preprocess_s + self.prefill_s + self.denoise_s + self.decode_s


@dataclass(frozen=True)
class Prediction:
    """What a policy answers.

    Attributes:
        actions: float32 `[H, D]` in physical units.
        tokens: int32 `[R, C]` of the part `action` of the canvas: `[H, D]` where each number has a token, else
            `[1, L]`; empty where actions are no tokens.
        confidence: float32 `[H, D]`, probability of each committed token; the mean over the chunk where tokens are
            not tied to a number, 1 where actions are no tokens.
        trace: One entry per denoising step.
        mask_token: Token id that means "still masked" in the trace.
        nfe: Network function evaluations.
        timings: Where the time went.
        canvas: Parts of the canvas, in the order of the trace's positions.
        malformed: What was wrong with the tokens of the chunk, "" when nothing was. Where they could not be repaired
            the actions are NaN and must not be sent: the arm is held by sending nothing.
        imagined_images: uint8 `[h, w, 3]` RGB of each camera after the chunk, from a policy that imagines them.
        reasoning: What the policy said to itself, "" when it does not reason.
        keypoints: float32 `[K, 2]` (u, v) in 0..1 of each camera: where the policy sees what the sentence names.
        frozen_steps: Leading rows that were fixed by the caller.
        decided_steps: Leading rows that decoding decided whole; all H if left out. In later rows something was filled
            with the arg-max because decoding was stopped, by `needed_steps` or the deadline.
    """

    actions: np.ndarray
    tokens: np.ndarray
    confidence: np.ndarray
    trace: tuple[DenoisingStep, ...]
    mask_token: int
    nfe: int
    timings: Timings
    canvas: tuple[CanvasPart, ...] = ()
    malformed: str = ""
    imagined_images: Mapping[str, np.ndarray] = field(default_factory=dict)
    reasoning: str = ""
    keypoints: Mapping[str, np.ndarray] = field(default_factory=dict)
    frozen_steps: int = 0
    decided_steps: int = -1

    def __post_init__(self) -> None:
        if self.decided_steps < 0:
            object.__setattr__(self, "decided_steps", len(self.actions))

    @property
    def usable(self) -> bool:
        """Whether the actions are numbers, so that they may be sent."""
        return bool(np.isfinite(self.actions).all())


class Policy(Protocol):
    """A policy maps one observation to one chunk of actions; one that can take several at once is a `BatchPolicy`.

    Attributes:
        spec: What it needs and gives.
        network: What it asks, a `TokenNetwork` or a `ReasoningNetwork`.
        device: Where that runs.
    """

    spec: PolicySpec
    network: Any
    device: torch.device

    def predict(
        self,
        observation: Observation,
        *,
        frozen_actions: np.ndarray | None = None,
        seed: int | None = None,
        deadline_s: float | None = None,
        warm_start: Guess | None = None,
        needed_steps: int | None = None,
    ) -> Prediction:
        """Infer a chunk.

        Args:
            observation: Must hold every camera of `spec.cameras` and a state of `spec.state_dim` numbers.
            frozen_actions: float32 `[d, D]`, leading rows that will be executed whatever is inferred. The answer holds
                them as they are, so that the join to what is being executed does not move.
            seed: Makes the answer reproducible; None draws a fresh one.
            deadline_s: Stop denoising after this many seconds, with a complete chunk all the same.
            warm_start: A guess of rows that are not frozen; the answer may differ from it.
            needed_steps: Leading rows, frozen ones counted, that will be executed before the next chunk: denoising may
                stop once they are decided. The others are then filled, see `Prediction.decided_steps`. None for all.

        Raises:
            ObservationError: A camera is missing, or the state or instruction is not usable.
            ActionError: Frozen rows or the guess have another shape or number of rows, or are not finite, or
                `needed_steps` is not in 0..H.
            DeviceMemoryError: The device has not enough memory; the policy stays usable.
        """
        ...

    def reset(self) -> None:
        """Forget everything about the episode so far."""
        ...
