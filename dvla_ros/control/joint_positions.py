"""Joint positions of a joint state message by name, whatever made the message: rclpy or a bag."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.errors import ObservationError

MEASURED_JOINTS = (*ARM_JOINTS, "left_finger")
"""What is read of a WidowX: six joints in rad and a finger in m."""


class JointStateMessage(Protocol):
    """The fields of `sensor_msgs/JointState` that are read."""

    name: Sequence[str]
    position: Sequence[float]


def joint_positions(message: JointStateMessage, names: Sequence[str], what: str = "joint_states") -> np.ndarray:
    """Positions float64 `[len(names)]` (rad or m) of the named joints, whatever the message's order.

    Raises:
        ObservationError: A joint is missing, has no position, or its position is not finite.
    """
    found = list(message.name)
    positions = np.empty(len(names))
    for index, name in enumerate(names):
        try:
            positions[index] = message.position[found.index(name)]
        except (ValueError, IndexError):
            raise ObservationError(
                f"{what} lacks a position for joint '{name}'; it names {', '.join(found) or 'no joint'} with "
                f"{len(message.position)} positions. Check the driver's motor configuration and robot_name."
            ) from None
    if not np.isfinite(positions).all():
        bad = [name for name, value in zip(names, positions, strict=True) if not np.isfinite(value)]
        raise ObservationError(f"{what} has a position that is not a finite number for {', '.join(bad)}.")
    return positions
