"""How a source is read, whatever kind it is."""

from dataclasses import dataclass
from typing import Literal

from dvla_ros.datasets.idle import IdleFrames
from dvla_ros.errors import ConfigurationError

BRIDGE_FPS = 5.0
"""Frames a second of the Bridge data set, and of every policy trained on it."""

MAX_LAG_S = 1.0
"""An arm that is further behind its command is stuck."""


@dataclass(frozen=True)
class ReadOptions:
    """Settings of reading.

    Attributes:
        fps: Frames a second; None takes what a data set has, and Bridge's 5 for a recording.
        cameras: Which cameras, in which order; all that are there when empty.
        size: Width and height of the pictures; None as they are.
        pictures: Whether pictures are read at all.
        instruction: Sentence of episodes that have none.
        robot_name: Namespace of the robot's topics in a recording.
        actions: Source of the actions in a recording, see `recordings.recorded_actions`; `best` takes the best one.
        stamp_source: Times of cameras and joints: those of their headers, or of their arrival: `header` or `receive`,
            see `AlignmentConfig`.
        gap_s: Silence in a recording that ends an episode, in s.
        lag_s: How far behind its command the arm of a recording is, in s: its actions are those that lead on from where
            the pictures show it; "auto" finds it, see `tracking_lag`.
        only_successes: Leave out recorded episodes of the simulated scene that did not end as asked.
        idle: What happens to frames in which nothing is commanded.

    Raises:
        ConfigurationError: A value is out of range.
    """

    fps: float | None = None
    cameras: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    pictures: bool = True
    instruction: str = ""
    robot_name: str = "wx250s"
    actions: str = "best"
    stamp_source: str = "header"
    gap_s: float = 2.0
    lag_s: float | Literal["auto"] = 0.0
    only_successes: bool = False
    idle: IdleFrames = "keep"

    def __post_init__(self) -> None:
        if self.fps is not None and not self.fps > 0.0:
            raise ConfigurationError(f"fps must be positive, got {self.fps}.")
        if self.size is not None and min(self.size) < 1:
            raise ConfigurationError(f"image-size must be a positive width and height, got {self.size}.")
        if not self.gap_s > 0.0:
            raise ConfigurationError(f"gap-s must be positive, got {self.gap_s} s.")
        if self.lag_s != "auto" and not 0.0 <= self.lag_s <= MAX_LAG_S:
            raise ConfigurationError(f"lag-s must lie in 0..{MAX_LAG_S:g} s, got {self.lag_s} s.")
        if len(set(self.cameras)) < len(self.cameras):
            raise ConfigurationError(f"A camera is named twice in {', '.join(self.cameras)}.")
