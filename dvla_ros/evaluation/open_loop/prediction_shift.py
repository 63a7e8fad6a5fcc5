"""Whether predictions fit better what was recorded a little earlier or later."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.evaluation.open_loop.columns import Columns
from dvla_ros.evaluation.open_loop.joined import Joined

_LONGEST_S = 0.6
_FEWEST = 30
"""Rows that a shift must be judged by."""

_GAIN = 0.15
"""Part of the error that a shift must take away, to be worth mentioning."""


@dataclass(frozen=True)
class PredictionShift:
    """The shift in time at which predictions and recorded actions differ least.

    Attributes:
        shift_s: Seconds; above zero: predictions fit what was recorded so much later, they come early.
        gain: Part of the root mean square error that the shift takes away.
        rows: How many rows it was judged by.
        reliable: Whether there are enough rows and the gain is worth mentioning.
    """

    shift_s: float
    gain: float
    rows: int
    reliable: bool


def prediction_shift(episodes: Sequence[Joined], columns: Columns, dt: float) -> PredictionShift:
    """The shift with the least error of the motion, between rows by a parabola.

    Every shift is judged by rows with all their neighbours, so that none has easier rows than another one.
    """
    most = max(2, round(_LONGEST_S / dt))
    squares = [_errors(rows, most) for rows in _runs(episodes, columns)]
    found = np.concatenate([part for part in squares if len(part)] or [np.empty((0, 2 * most + 1))])
    found = found[np.isfinite(found).all(axis=1)]
    if len(found) == 0 or not found.any():
        return PredictionShift(0.0, 0.0, len(found), False)
    errors = np.sqrt(found.mean(axis=0))
    best = int(np.argmin(errors))
    gain = float(1.0 - errors[best] / errors[most]) if errors[most] > 0.0 else 0.0
    shift = (best - most + _vertex(errors, best)) * dt
    moved = abs(best - most) >= 1 and 0 < best < 2 * most
    return PredictionShift(float(shift), gain, len(found), bool(moved and len(found) >= _FEWEST and gain >= _GAIN))


def _runs(episodes: Sequence[Joined], columns: Columns) -> list[tuple[np.ndarray, np.ndarray]]:
    """Predicted and recorded motion of rows that follow each other, `[T, m]` each."""
    runs = []
    for episode in episodes:
        for run in np.unique(episode.run):
            rows = episode.run == run
            predicted, recorded = episode.predicted[rows], episode.recorded[rows]
            runs.append((columns.moves(predicted), columns.moves(recorded)))
    return runs


def _errors(rows: tuple[np.ndarray, np.ndarray], most: int) -> np.ndarray:
    """Squared errors `[T - 2 most, 2 most + 1]` of each row against the recorded ones around it."""
    predicted, recorded = rows
    length = len(predicted) - 2 * most
    if length <= 0:
        return np.empty((0, 2 * most + 1))
    middle = predicted[most : most + length]
    return np.stack(
        [np.sum((middle - recorded[lag : lag + length]) ** 2, axis=1) for lag in range(2 * most + 1)], axis=1
    )


def _vertex(values: np.ndarray, index: int) -> float:
    """Where between its neighbours the parabola through the smallest value is lowest, in steps, -0.5..0.5."""
    if index in (0, len(values) - 1):
        return 0.0
    before, here, after = values[index - 1 : index + 2]
    curvature = before - 2.0 * here + after
    return float(np.clip(0.5 * (before - after) / curvature, -0.5, 0.5)) if curvature > 0.0 else 0.0
