"""At which times of an episode a policy is asked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.evaluation.recorded_inference import due_times

_SAME_S = 1e-6


@dataclass(frozen=True)
class Anchor:
    """One question to a policy.

    Attributes:
        episode: Number of the episode.
        due: Due time of row 0 in seconds; recorded actions are compared from here on.
        seen: Time of the observation in seconds: when the arm is where row 0 begins.
    """

    episode: int
    due: float
    seen: float


def anchor_times(start: float, end: float, dt: float, every_s: float, chunks: Sequence[ActionChunk] = ()) -> np.ndarray:
    """Due times float64 `[n]` in seconds at which an episode is judged.

    Args:
        start: Of the episode.
        end: Of the episode.
        dt: Seconds between the rows of a policy.
        every_s: At most one in so many seconds; 0: every row.
        chunks: What was recorded, where actions come from chunks: their own due times are taken, so that recorded rows
            need no interpolation. Empty, or on another grid: every `dt` from the start.
    """
    spacing = max(every_s, dt)
    on_grid = sorted({round(due, 9) for due in due_times(chunks, dt) if start <= due <= end})
    if not on_grid:
        return np.arange(start, end, spacing)
    kept = on_grid[:1]
    for due in on_grid[1:]:
        if due - kept[-1] >= (every_s or 0.5 * dt) - _SAME_S:
            kept.append(due)
    return np.array(kept)
