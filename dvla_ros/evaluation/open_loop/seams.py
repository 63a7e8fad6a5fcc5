"""How well consecutive predictions join: jumps at the seams, and jerk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.evaluation.open_loop.columns import Columns
from dvla_ros.evaluation.open_loop.joined import Joined
from dvla_ros.evaluation.open_loop.sample import Samples


@dataclass(frozen=True)
class SeamFigures:
    """Seams of the joined predictions; distances of the end effector in m, or of the joints in rad.

    Attributes:
        count: How many seams.
        jump: Mean distance between the first row of a chunk and what the chunk before has for the same time.
        jump_p95: 95th percentile of it.
        jump_max: Largest.
        inside: Mean change from row to row within a chunk: what a jump is to be compared with.
        recorded: Mean change from row to row in what was recorded.
        jerk_rms: Root of the mean square of the third derivative of the joined path, in unit/s³.
        recorded_jerk_rms: The same of what was recorded.
        unit: `m` or `rad`.
    """

    count: int
    jump: float
    jump_p95: float
    jump_max: float
    inside: float
    recorded: float
    jerk_rms: float
    recorded_jerk_rms: float
    unit: str


def jumps(samples: Samples, episodes: Sequence[Joined], columns: Columns) -> np.ndarray:
    """The jump at which each sample takes over, `[N]`; NaN for those that do not take over from another one."""
    result = np.full(len(samples), np.nan)
    for episode in episodes:
        for before, after, lag in zip(episode.samples[:-1], episode.samples[1:], episode.lags, strict=True):
            if lag:
                expected = _goes_on(samples.predicted[before][:, columns.motion], lag, columns)
                result[after] = np.linalg.norm(samples.predicted[after, 0, columns.motion] - expected)
    return result


def seam_figures(samples: Samples, episodes: Sequence[Joined], columns: Columns, dt: float) -> SeamFigures:
    """Figures of all seams."""
    found = jumps(samples, episodes, columns)
    known = found[np.isfinite(found)]
    return SeamFigures(
        count=len(known),
        jump=_mean(known),
        jump_p95=float(np.percentile(known, 95)) if len(known) else float("nan"),
        jump_max=float(known.max()) if len(known) else float("nan"),
        inside=_mean(_changes(samples.predicted[:, :, columns.motion], columns)),
        recorded=_mean(np.concatenate([_changes(rows, columns) for rows in _all_runs(episodes, False, columns)])),
        jerk_rms=_jerk(episodes, columns, dt, predicted=True),
        recorded_jerk_rms=_jerk(episodes, columns, dt, predicted=False),
        unit=columns.motion_unit,
    )


def _goes_on(rows: np.ndarray, lag: int, columns: Columns) -> np.ndarray:
    """What a chunk `[H, m]` has for row `lag`; after its end, increments stay and absolute rows go on straight."""
    if lag < len(rows):
        return np.asarray(rows[lag])
    if columns.is_increment or len(rows) < 2:
        return np.asarray(rows[-1])
    return np.asarray(rows[-1] + (lag - len(rows) + 1) * (rows[-1] - rows[-2]))


def _changes(rows: np.ndarray, columns: Columns) -> np.ndarray:
    """Changes of the motion from row to row `[..., H, m]`, as distances."""
    order = 1 if columns.is_increment else 2
    return np.asarray(np.linalg.norm(np.diff(rows, n=order, axis=-2), axis=-1)).ravel()


def _jerk(episodes: Sequence[Joined], columns: Columns, dt: float, predicted: bool) -> float:
    order = 2 if columns.is_increment else 3
    squares = [
        np.sum(np.diff(rows, n=order, axis=0) ** 2, axis=1)
        for rows in _all_runs(episodes, predicted, columns)
        if len(rows) > order
    ]
    return float(np.sqrt(_mean(np.concatenate(squares)))) / dt**3 if squares else float("nan")


def _all_runs(episodes: Sequence[Joined], predicted: bool, columns: Columns) -> list[np.ndarray]:
    """The motion of rows that follow each other, `[T, m]` each."""
    runs = []
    for episode in episodes:
        rows = (episode.predicted if predicted else episode.recorded)[:, columns.motion]
        runs += [rows[episode.run == run] for run in np.unique(episode.run)]
    return runs


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
