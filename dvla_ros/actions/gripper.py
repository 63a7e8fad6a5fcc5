"""Gripper conventions: the number that a policy was trained on to the one that a robot or simulator takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvla_ros.errors import ActionError, ConfigurationError


@dataclass(frozen=True)
class GripperConvention:
    """What happens to the gripper number g of an un-normalised action.

    With a threshold, g becomes `high` above it and `low` at or below it; without one it stays. Then, with `invert`,
    low..high is mirrored: low + high - g.

    Attributes:
        threshold: In the units of g, or None.
        low: The robot's number at one end of the gripper's range.
        high: That at the other end.
        invert: Whether what opens one gripper closes the other.

    Raises:
        ConfigurationError: A number is not finite, or low is not below high.
    """

    threshold: float | None = None
    low: float = 0.0
    high: float = 1.0
    invert: bool = False

    def __post_init__(self) -> None:
        if not -np.inf < self.low < self.high < np.inf:
            raise ConfigurationError(f"A gripper needs finite low < high, got {self.low} and {self.high}.")
        if self.threshold is not None and not np.isfinite(self.threshold):
            raise ConfigurationError(f"The gripper's threshold must be finite or None, got {self.threshold}.")

    @property
    def trained_range(self) -> tuple[float, float]:
        """The ends of g in the training data: symmetric about the threshold, 0..1 without one."""
        return (0.0, 1.0) if self.threshold is None else (self.threshold - self._reach, self.threshold + self._reach)

    @property
    def _reach(self) -> float:
        return 0.5 if self.threshold == 0.5 else 1.0  # 0..1 or -1..1: no published data has another range


GRIPPER_CONVENTIONS = {
    "passthrough": GripperConvention(),
    "inverted_01": GripperConvention(invert=True),
    "binary_01": GripperConvention(threshold=0.5),
    "binary_signed": GripperConvention(threshold=0.0),
    "inverted_signed": GripperConvention(threshold=0.0, invert=True),
    "openvla_libero": GripperConvention(threshold=0.5, low=-1.0, high=1.0, invert=True),
    "openvla_bridge": GripperConvention(threshold=0.5, low=-1.0, high=1.0),
    "ud_vla_calvin": GripperConvention(threshold=0.0, low=-1.0, high=1.0),
    "ud_vla_libero": GripperConvention(threshold=0.0, low=-1.0, high=1.0),
    "ud_vla_widowx": GripperConvention(threshold=0.5, low=-1.0, high=1.0),
    "mmada_vla_libero": GripperConvention(threshold=0.0, low=-1.0, high=1.0, invert=True),
}
"""By system and robot, or by what the training data hold; those with 0..1 give this package's own numbers, 1 open.

LIBERO opens at -1, OpenVLA's data at 1: hence the mirror.
"""


def gripper_convention(name: str) -> GripperConvention:
    """A published convention by name.

    Raises:
        ConfigurationError: The name is unknown.
    """
    if name not in GRIPPER_CONVENTIONS:
        known = ", ".join(sorted(GRIPPER_CONVENTIONS))
        raise ConfigurationError(f"Unknown gripper convention {name!r}; choose one of {known}.")
    return GRIPPER_CONVENTIONS[name]


def convert_gripper(actions: ArrayLike, convention: GripperConvention, column: int = -1) -> NDArray[np.float32]:
    """Actions `[..., D]` with their gripper column converted, as a new float32 array; NaN stays NaN.

    Raises:
        ActionError: There is no such column.
    """
    converted = np.array(actions, dtype=np.float32)
    if converted.ndim == 0 or not -converted.shape[-1] <= column < converted.shape[-1]:
        raise ActionError(f"Actions of shape {list(converted.shape)} have no gripper column {column}.")
    gripper = converted[..., column]
    if convention.threshold is not None:
        side = np.where(gripper > convention.threshold, convention.high, convention.low)
        # An unusable chunk is all NaN and must stay so: a comparison would make it a command.
        gripper = np.where(np.isnan(gripper), np.nan, side)
    converted[..., column] = convention.low + convention.high - gripper if convention.invert else gripper
    return converted


def trained_gripper(actions: ArrayLike, convention: GripperConvention, column: int = -1) -> NDArray[np.float32]:
    """The other way: the robot's numbers `[..., D]` to those that the policy was trained on; NaN stays NaN."""
    converted = np.array(actions, dtype=np.float32)
    side = (converted[..., column] - convention.low) / (convention.high - convention.low)
    low, high = convention.trained_range
    converted[..., column] = low + (high - low) * (1.0 - side if convention.invert else side)
    return converted
