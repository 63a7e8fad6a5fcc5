"""What the policy sees at one instant."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

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
        image_stamps: When each image was taken, in seconds, latency taken off; empty where that is not known.
    """

    stamp: float
    images: Mapping[str, np.ndarray]
    state: np.ndarray
    instruction: str
    image_stamps: Mapping[str, float] = field(default_factory=dict)

    @property
    def crc(self) -> int:
        """CRC-32 over all that a policy sees: names and bytes of the images in order of their names, state, words."""
        value = zlib.crc32(np.ascontiguousarray(self.state, np.float64).data)
        value = zlib.crc32(self.instruction.encode(), value)
        for name in sorted(self.images):
            value = zlib.crc32(np.ascontiguousarray(self.images[name]).data, zlib.crc32(name.encode(), value))
        return value
