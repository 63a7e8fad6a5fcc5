"""Whether predictions go where the recorded arm went, and how far."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.evaluation.open_loop.columns import Columns
from dvla_ros.evaluation.open_loop.sample import Samples

_AGREES = 0.5
"""A cosine above this, 60° or less, counts as the same direction."""


@dataclass(frozen=True)
class DirectionFigures:
    """Motion where the recorded arm moves.

    Attributes:
        rows: How many rows move.
        cosine: Mean cosine between predicted and recorded motion; 0 where the prediction rests.
        agreement: Share of them within 60°.
        magnitude: Size of the predicted motion over that of the recorded one, root of the mean squares.
        idle: Share of all recorded rows in which neither arm nor gripper moves.
        by_row: Mean cosine of each row of the horizon.
    """

    rows: int
    cosine: float
    agreement: float
    magnitude: float
    idle: float
    by_row: tuple[float, ...]


def cosines(samples: Samples, columns: Columns) -> np.ndarray:
    """Cosine between predicted and recorded motion of each row, `[N, H]`; NaN where the recorded arm rests."""
    predicted, recorded = columns.moves(samples.predicted), columns.moves(samples.recorded)
    sizes = np.linalg.norm(predicted, axis=-1) * np.linalg.norm(recorded, axis=-1)
    moving = np.linalg.norm(recorded, axis=-1) > columns.still
    cosine = np.sum(predicted * recorded, axis=-1) / np.where(sizes > 0.0, sizes, 1.0)
    return np.where(moving & np.isfinite(sizes), cosine, np.nan)


def direction_figures(samples: Samples, columns: Columns) -> DirectionFigures:
    """Figures of all rows."""
    found = cosines(samples, columns)
    moving = np.isfinite(found)
    return DirectionFigures(
        rows=int(moving.sum()),
        cosine=_mean(found),
        agreement=_mean(np.where(moving, found > _AGREES, np.nan)),
        magnitude=_magnitude(samples, columns, moving),
        idle=_idle(samples, columns),
        by_row=tuple(_mean(found[:, row]) for row in range(found.shape[1])),
    )


def _magnitude(samples: Samples, columns: Columns, moving: np.ndarray) -> float:
    predicted, recorded = columns.moves(samples.predicted)[moving], columns.moves(samples.recorded)[moving]
    size = float(np.sum(recorded**2))
    return float(np.sqrt(np.sum(predicted**2) / size)) if size > 0.0 else float("nan")


def _idle(samples: Samples, columns: Columns) -> float:
    """Share of the recorded rows in which nothing moves: the arm does not, and the gripper stays as it was."""
    recorded = samples.recorded
    arm = recorded[..., columns.arm]
    if not columns.is_increment:
        arm = np.diff(arm, axis=-2)
    known, still = np.isfinite(arm).all(axis=-1), np.abs(arm).max(axis=-1) <= columns.still
    if columns.gripper is not None and recorded.shape[1] > 1:
        turns = np.abs(np.diff(recorded[..., columns.gripper], axis=-1)) > 0.1
        still = still[:, -turns.shape[1] :] & ~turns
        known = known[:, -turns.shape[1] :]
    return _mean(np.where(known, still, np.nan))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
