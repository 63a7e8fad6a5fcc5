"""A chunk: consecutive actions on a grid of due times."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from dvla_ros.errors import ActionError


class ControlMode(IntEnum):
    """What one action row means; the numbers are those of `msg/ActionChunk.msg`."""

    JOINT_POSITION = 0
    JOINT_DELTA = 1
    EE_POSE = 2
    EE_DELTA = 3


@dataclass(frozen=True)
class ActionChunk:
    """H actions of D numbers; row i is due at `stamp + i * dt` and is executed until `stamp + (i + 1) * dt`.

    Attributes:
        stamp: Due time of row 0 in seconds (ROS clock).
        dt: Time between rows in seconds.
        actions: float32 `[H, D]` in physical units (metres, radians, gripper 0 closed .. 1 open).
        mode: What a row means.
        names: D names, one per column.
        sequence: Counts chunks within an epoch; strictly increasing.
        epoch: Counts resets; chunks of an older epoch are dropped.
        execute_steps: Rows meant to be executed before the next chunk; the others are reserve.
        execute_reserve: Whether the reserve is executed, too, until a newer chunk covers it. Right when that chunk is
            inferred knowing that it will be; wrong, for increments, when it starts from an observation made before.
        frozen_steps: Leading rows that were fixed because they were being executed.
        decided_steps: Leading rows whose tokens were all decided by denoising; None for all H. In later rows some were
            filled with the arg-max when decoding stopped early.
        observation_stamp: Anchor time of the observation it was inferred from, in seconds.
        confidence: float32 `[H, D]` in 0..1.

    Raises:
        ActionError: Shapes disagree or dt is not positive.
    """

    stamp: float
    dt: float
    actions: np.ndarray
    mode: ControlMode
    names: tuple[str, ...]
    sequence: int = 0
    epoch: int = 0
    execute_steps: int = 0
    execute_reserve: bool = False
    frozen_steps: int = 0
    decided_steps: int | None = None
    observation_stamp: float = 0.0
    confidence: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.actions.ndim != 2 or self.actions.shape[0] == 0:
            raise ActionError(f"A chunk needs actions of shape [H, D] with H > 0, got {list(self.actions.shape)}.")
        if self.actions.shape[1] != len(self.names):
            raise ActionError(f"A chunk of {self.actions.shape[1]} columns has {len(self.names)} names {self.names}.")
        if not self.dt > 0.0:
            raise ActionError(f"A chunk's dt must be positive, got {self.dt} s.")

    @property
    def horizon(self) -> int:
        """Number of rows H."""
        return int(self.actions.shape[0])

    @property
    def end(self) -> float:
        """Time in seconds at which the last row's interval ends."""
        return self.stamp + self.horizon * self.dt
