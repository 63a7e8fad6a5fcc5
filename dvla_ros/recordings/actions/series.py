"""Samples over time, asked for at any time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.plan import TIME_TOLERANCE
from dvla_ros.control.widowx import FINGER_CLOSED, FINGER_OPEN


@dataclass(frozen=True)
class Series:
    """Samples with straight lines between them, or held until the next one.

    Attributes:
        times: float64 `[n]` in seconds, strictly increasing.
        values: float64 `[n, D]`.
        line_s: Two samples that are at most so far apart are joined by a straight line; else the first one holds.
        hold_s: A sample is known for so long after its time, if no other one comes.
    """

    times: np.ndarray
    values: np.ndarray
    line_s: float = 0.0
    hold_s: float = np.inf

    @classmethod
    def of(
        cls,
        samples: Sequence[tuple[float, np.ndarray]],
        width: int,
        line_s: float = 0.0,
        hold_s: float = np.inf,
    ) -> "Series":
        """The series of samples in any order; of several at one time the last one counts.

        Args:
            samples: Time in seconds and `[width]` each.
            width: D.
            line_s: As the attribute.
            hold_s: As the attribute.
        """
        newest = dict(samples)
        times = np.array(sorted(newest))
        values = np.array([newest[time] for time in times.tolist()], dtype=float).reshape(len(times), width)
        return cls(times, values, line_s, hold_s)

    def __len__(self) -> int:
        return len(self.times)

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values float64 `[m, D]` at times `[m]` in seconds; NaN where nothing is known."""
        result = np.full((len(times), self.values.shape[1]), np.nan)
        before = np.searchsorted(self.times, times + TIME_TOLERANCE, side="right") - 1
        known = before >= 0
        index = before[known]
        following = np.minimum(index + 1, len(self.times) - 1)
        gap, since = self.times[following] - self.times[index], np.maximum(times[known] - self.times[index], 0.0)
        joined = (gap > 0.0) & (gap <= self.line_s + TIME_TOLERANCE)
        weight = np.where(joined, since / np.where(gap > 0.0, gap, 1.0), 0.0)[:, None]
        values = (1.0 - weight) * self.values[index] + weight * self.values[following]
        values[~joined & (since > self.hold_s + TIME_TOLERANCE)] = np.nan
        result[known] = values
        return result


def openings(fingers: np.ndarray) -> np.ndarray:
    """Gripper openings 0 closed .. 1 open for `left_finger` positions in metres, any shape."""
    return np.asarray(np.clip((fingers - FINGER_CLOSED) / (FINGER_OPEN - FINGER_CLOSED), 0.0, 1.0))
