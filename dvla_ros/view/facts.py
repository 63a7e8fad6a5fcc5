"""What a view is told, live or from a recording: one frozen class for each kind of fact. Times are seconds."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.view.trace import Trace


@dataclass(frozen=True)
class Picture:
    """What a camera saw, as the bytes of a JPEG or PNG file.

    Attributes:
        camera: Name of the camera.
        stamp: When it was taken.
        file: The compressed picture.
        media_type: `image/jpeg` or `image/png`.
    """

    camera: str
    stamp: float
    file: bytes
    media_type: str = "image/jpeg"


@dataclass(frozen=True)
class Imagined:
    """What the policy expects a camera to see; the stamp is that of the chunk it belongs to.

    Attributes:
        camera: Name of the camera.
        stamp: Due time of the chunk's first row.
        image: RGB uint8 `[H, W, 3]`.
    """

    camera: str
    stamp: float
    image: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """The pinhole matrix K `[3, 3]` of a camera in pixels, and the size of its pictures."""

    camera: str
    intrinsics: np.ndarray
    width: int
    height: int


@dataclass(frozen=True)
class Measured:
    """Arm joints float64 `[6]` in radians, as the driver reports them."""

    stamp: float
    joints: np.ndarray


@dataclass(frozen=True)
class Commanded:
    """Arm joints float64 `[6]` in radians, as they were sent to the driver."""

    stamp: float
    joints: np.ndarray


@dataclass(frozen=True)
class Published:
    """A chunk, the network function evaluations it took, and the seconds from the observation to publication."""

    chunk: ActionChunk
    nfe: int
    latency_s: float

    @property
    def stamp(self) -> float:
        """When it was published."""
        return self.chunk.observation_stamp + self.latency_s

    @property
    def key(self) -> tuple[int, int]:
        """Epoch and sequence: tells the chunk from any other."""
        return self.chunk.epoch, self.chunk.sequence


@dataclass(frozen=True)
class Traced:
    """How a chunk came about, known since `stamp`."""

    stamp: float
    trace: Trace


@dataclass(frozen=True)
class Status:
    """What the chunk controller does, see `msg/ExecutionStatus.msg`."""

    stamp: float
    state: str
    reason: str
    message: str
    epoch: int
    sequence: int
    accepted: bool


@dataclass(frozen=True)
class Reasoning:
    """What the policy said to itself."""

    stamp: float
    text: str


@dataclass(frozen=True)
class Instruction:
    """What the robot was asked to do."""

    stamp: float
    text: str


@dataclass(frozen=True)
class Policy:
    """What answers, as names and values in the order in which they are to be shown."""

    stamp: float
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Outcome:
    """What the simulated scene says of the episode."""

    stamp: float
    text: str
    over: bool


Fact: TypeAlias = (
    Picture
    | Imagined
    | Calibration
    | Measured
    | Commanded
    | Published
    | Traced
    | Status
    | Reasoning
    | Instruction
    | Policy
    | Outcome
)
