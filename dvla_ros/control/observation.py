"""What the policy sees at one instant."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Observation:
    """Camera images, robot state and instruction at one anchor time.

    Attributes:
        stamp: Anchor time in seconds (ROS clock): the newest time that all streams cover.
        images: RGB images by camera name, each uint8 `[H, W, 3]`.
        state: Bridge state float64 `[7]`: x, y, z (m), roll, pitch, yaw (rad) of the measured end effector in
            the base frame relative to the downward gripper, and gripper opening (1 = open, 0 = closed).
        instruction: What the robot is asked to do, in plain words.
    """

    stamp: float
    images: Mapping[str, np.ndarray]
    state: np.ndarray
    instruction: str
