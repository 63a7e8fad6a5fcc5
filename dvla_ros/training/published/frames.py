"""A frame of a recording as a published network is taught it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dvla_ros.control.observation import Observation
from dvla_ros.errors import RecordingError


@dataclass(frozen=True)
class TaughtFrame:
    """What was seen, and what was done from there on.

    Attributes:
        images: uint8 `[H, W, 3]` RGB by camera, as large as they were recorded.
        state: float `[S]`, the robot's own.
        instruction: What was asked for.
        actions: `[H, D]` in physical units, from this moment on; more rows than a chunk has are cut off.
        frozen: How many of the first actions were being executed already.
        futures: Images after the chunk, by camera; only UD-VLA looks at them.
        reasoning: What to say before acting; only DiffusionVLA says it.
    """

    images: Mapping[str, np.ndarray]
    state: np.ndarray
    instruction: str
    actions: np.ndarray
    frozen: int = 0
    futures: Mapping[str, np.ndarray] | None = None
    reasoning: str = ""

    @property
    def observation(self) -> Observation:
        """What a policy would be given."""
        return Observation(0.0, self.images, np.asarray(self.state, np.float64), self.instruction)


class FrameSource(Protocol):
    """Frames by number, as a data set gives them; asked from the processes of a data loader."""

    def __len__(self) -> int: ...

    def frame(self, row: int) -> TaughtFrame:
        """One of them."""
        ...


def images_of(images: Mapping[str, np.ndarray], cameras: Sequence[str]) -> list[np.ndarray]:
    """Those of some cameras, in their order.

    Raises:
        RecordingError: One is missing.
    """
    if missing := [name for name in cameras if name not in images]:
        raise RecordingError(
            f"The checkpoint sees the cameras {list(cameras)}; the recording has {sorted(images)} and lacks {missing}. "
            "Name the recording's cameras in the deployment file, in the order of training: cameras."
        )
    return [images[name] for name in cameras]
