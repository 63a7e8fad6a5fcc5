"""The same errors by column, by row of the horizon and by episode."""

import numpy as np

from dvla_ros.evaluation.open_loop.columns import Columns
from dvla_ros.evaluation.open_loop.direction import cosines
from dvla_ros.evaluation.open_loop.gripper import sides
from dvla_ros.evaluation.open_loop.open_loop_figures import AxisFigures, EpisodeFigures, RowFigures
from dvla_ros.evaluation.open_loop.policy_range import PolicyRange
from dvla_ros.evaluation.open_loop.sample import Samples
from dvla_ros.evaluation.open_loop.tally import Tally, headline, normalised, ratio


def axis_figures(
    samples: Samples, columns: Columns, scale: np.ndarray, policy_range: PolicyRange | None
) -> tuple[AxisFigures, ...]:
    """Figures of each column over all rows."""
    error = columns.error(samples.predicted, samples.recorded)
    width = len(columns.names)
    outside = np.full(width, np.nan) if policy_range is None else policy_range.outside(samples.recorded)
    return tuple(
        AxisFigures(
            name=columns.names[axis],
            unit=columns.unit(axis),
            scale=float(scale[axis]),
            mae=_mean(np.abs(error[..., axis])),
            rmse=_root_mean_square(error[..., axis]),
            bias=_mean(error[..., axis]),
            p95=_percentile(np.abs(error[..., axis]), 95),
            normalised_error=_root_mean_square(error[..., axis]) / float(scale[axis]),
            outside=float(outside[axis]),
            mae_by_row=tuple(_mean(np.abs(error[:, row, axis])) for row in range(error.shape[1])),
        )
        for axis in range(width)
    )


def row_figures(samples: Samples, columns: Columns, scale: np.ndarray, dt: float) -> tuple[RowFigures, ...]:
    """Figures of each row over all columns."""
    error, cosine = columns.error(samples.predicted, samples.recorded), cosines(samples, columns)
    count, square = np.isfinite(error).sum(axis=0), np.nansum(error**2, axis=0)
    whole = normalised(count.astype(float), square, scale)
    accuracy = np.full(error.shape[1], np.nan)
    if columns.gripper is not None:
        rows, right = sides(samples, columns.gripper)
        accuracy = ratio(right.sum(axis=0).astype(float), rows.sum(axis=0).astype(float))
    return tuple(
        RowFigures(
            row=row,
            seconds=row * dt,
            count=int(np.isfinite(error[:, row]).any(axis=-1).sum()),
            mae=_mean(np.abs(error[:, row])),
            rmse=_root_mean_square(error[:, row]),
            normalised_error=float(whole[row]),
            gripper_accuracy=float(accuracy[row]),
            direction=_mean(cosine[:, row]),
        )
        for row in range(error.shape[1])
    )


def episode_figures(samples: Tally, episode: np.ndarray, scale: np.ndarray) -> tuple[EpisodeFigures, ...]:
    """Figures of each episode from the sums of its samples."""
    names = np.unique(episode)
    members = names[:, None] == episode[None, :]
    found = headline(samples.weighted(members.astype(float)), scale)
    return tuple(
        EpisodeFigures(
            episode=int(name),
            steps=int(members[unit].sum()),
            mae=float(found.mae[unit]),
            rmse=float(found.rmse[unit]),
            normalised_error=float(found.normalised_error[unit]),
            gripper_accuracy=float(found.gripper_accuracy[unit]),
            direction=float(found.direction[unit]),
            seam_jump=float(found.seam_jump[unit]),
            ece=float(found.ece[unit]),
        )
        for unit, name in enumerate(names)
    )


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(_mean(values**2)))


def _percentile(values: np.ndarray, q: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, q)) if known.size else float("nan")
