"""What the columns of actions are: which move the arm, which is the gripper, and their units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.chunk import ControlMode

GRIPPER = "gripper"
OPENING = "opening"

_STILL_M = 1e-3
_STILL_RAD = 5e-3


@dataclass(frozen=True)
class Columns:
    """The columns of actions of one control mode.

    Attributes:
        names: D names; the one called `gripper` is the gripper.
        mode: What a row means.
    """

    names: tuple[str, ...]
    mode: ControlMode

    @classmethod
    def of(cls, names: Sequence[str], mode: ControlMode) -> "Columns":
        """Columns of any sequence of names."""
        return cls(tuple(names), ControlMode(mode))

    @property
    def gripper(self) -> int | None:
        """Index of the gripper; None where there is none."""
        return self.names.index(GRIPPER) if GRIPPER in self.names else None

    @property
    def arm(self) -> list[int]:
        """Indices of all columns but the gripper."""
        return [index for index in range(len(self.names)) if index != self.gripper]

    @property
    def motion(self) -> list[int]:
        """Indices of what says where the arm goes: the translation of the end effector, or all joints."""
        return self.arm[:3] if self.is_pose else self.arm

    @property
    def is_pose(self) -> bool:
        """Whether rows are about the end effector."""
        return self.mode in (ControlMode.EE_POSE, ControlMode.EE_DELTA)

    @property
    def is_increment(self) -> bool:
        """Whether rows are increments."""
        return self.mode in (ControlMode.EE_DELTA, ControlMode.JOINT_DELTA)

    @property
    def motion_unit(self) -> str:
        """Unit of `motion`."""
        return "m" if self.is_pose else "rad"

    @property
    def still(self) -> float:
        """Below this, in the motion's unit, a row does not move the arm: 1 mm, or 0.3°."""
        return _STILL_M if self.is_pose else _STILL_RAD

    def unit(self, index: int) -> str:
        """Unit of a column: `m`, `rad`, or `opening` (0 closed .. 1 open)."""
        if index == self.gripper:
            return OPENING
        return "m" if self.is_pose and index in self.arm[:3] else "rad"

    def error(self, predicted: np.ndarray, recorded: np.ndarray) -> np.ndarray:
        """Predicted less recorded, `[..., D]`; angles of absolute poses on the shorter way round."""
        difference: np.ndarray = predicted - recorded
        if self.mode is ControlMode.EE_POSE:
            turns = self.arm[3:6]
            difference[..., turns] = (difference[..., turns] + np.pi) % (2.0 * np.pi) - np.pi
        return difference

    def moves(self, rows: np.ndarray) -> np.ndarray:
        """The motion of each row `[..., H, m]`: the increment itself, or what absolute rows add to the one before.

        The first of absolute rows has none before it: NaN.
        """
        motion = rows[..., self.motion]
        if self.is_increment:
            return np.asarray(motion)
        first = np.full_like(motion[..., :1, :], np.nan)
        return np.concatenate([first, np.diff(motion, axis=-2)], axis=-2)
