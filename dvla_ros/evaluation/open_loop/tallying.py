"""From samples to sums."""

from collections.abc import Sequence

import numpy as np

from dvla_ros.evaluation.open_loop.calibration import bin_sums
from dvla_ros.evaluation.open_loop.columns import Columns
from dvla_ros.evaluation.open_loop.direction import cosines
from dvla_ros.evaluation.open_loop.gripper import sides
from dvla_ros.evaluation.open_loop.joined import Joined
from dvla_ros.evaluation.open_loop.sample import Samples
from dvla_ros.evaluation.open_loop.seams import jumps
from dvla_ros.evaluation.open_loop.tally import Tally


def tally_of(
    samples: Samples, episodes: Sequence[Joined], columns: Columns, scale: np.ndarray, tolerance: float
) -> Tally:
    """The sums of each sample, one unit a sample.

    Args:
        samples: N of them.
        episodes: The same, joined.
        columns: What the columns are.
        scale: `[D]`.
        tolerance: Within this part of the scale a value is correct.
    """
    error = columns.error(samples.predicted, samples.recorded)
    cosine, jump = cosines(samples, columns), jumps(samples, episodes, columns)
    gripper = [np.zeros(len(samples))] * 2
    if columns.gripper is not None:
        gripper = [rows.sum(axis=1).astype(float) for rows in sides(samples, columns.gripper)]
    bins = bin_sums(error, samples.confidence, scale, tolerance)
    return Tally(
        count=np.isfinite(error).sum(axis=1).astype(float),
        absolute=np.nansum(np.abs(error), axis=1),
        square=np.nansum(error**2, axis=1),
        gripper=gripper[0],
        gripper_right=gripper[1],
        moving=np.isfinite(cosine).sum(axis=1).astype(float),
        cosine=np.nansum(cosine, axis=1),
        seams=np.isfinite(jump).astype(float),
        jump=np.nan_to_num(jump),
        bin_count=bins[0],
        bin_confidence=bins[1],
        bin_correct=bins[2],
    )


def recorded_scale(samples: Samples) -> np.ndarray:
    """Standard deviation `[D]` of what was recorded, the error of always taking the mean action; NaN where constant."""
    rows = samples.recorded.reshape(-1, samples.recorded.shape[-1])
    known = np.isfinite(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / count
    variance = np.where(known, (rows - mean) ** 2, 0.0).sum(axis=0) / count
    return np.where(variance > 1e-12, np.sqrt(variance), np.nan)
