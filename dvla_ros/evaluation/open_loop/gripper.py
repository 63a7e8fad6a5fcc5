"""The gripper: whether it is open when it should be, and whether it opens and closes in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.evaluation.open_loop.joined import Joined
from dvla_ros.evaluation.open_loop.sample import Samples

HALF = 0.5
_OPEN, _CLOSED = 0.6, 0.4
"""A gripper counts as open above the first and as closed below the second; between them it stays what it was."""

_NEAR_S = 1.0
"""A predicted change answers a recorded one that is at most so far away."""

NAN = float("nan")


@dataclass(frozen=True)
class GripperFigures:
    """The gripper over all rows, and its changes in the joined predictions.

    Attributes:
        rows: Rows that were compared.
        accuracy: Share of them on the right side of half open.
        balanced_accuracy: Mean of that share among rows recorded open and among rows recorded closed; NaN where the
            recording has only one of them.
        open_share: Share of the rows recorded open.
        changes: Recorded openings and closings.
        matched: Of them, those that the joined predictions make within 1 s.
        surplus: Changes that only the predictions make.
        delay_s: Median of predicted less recorded time in seconds, of the matched ones; above zero: predicted late.
        opening_delay_s: Of openings alone.
        closing_delay_s: Of closings alone.
        delay_spread_s: Mean absolute deviation from the median.
    """

    rows: int
    accuracy: float
    balanced_accuracy: float
    open_share: float
    changes: int
    matched: int
    surplus: int
    delay_s: float
    opening_delay_s: float
    closing_delay_s: float
    delay_spread_s: float


def sides(samples: Samples, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows can be compared, and which of them are on the right side of half open; bool `[N, H]` each."""
    predicted, recorded = samples.predicted[..., column], samples.recorded[..., column]
    known = np.isfinite(predicted) & np.isfinite(recorded)
    return known, known & ((predicted > HALF) == (recorded > HALF))


def gripper_figures(samples: Samples, episodes: Sequence[Joined], column: int) -> GripperFigures:
    """Figures of all rows and of all episodes as they would be executed."""
    known, right = sides(samples, column)
    is_open = known & (samples.recorded[..., column] > HALF)
    is_closed = known & ~is_open
    parts = [right[side].mean() for side in (is_open, is_closed) if side.any()]
    matches = [match_changes(changes(episode, column, False), changes(episode, column, True)) for episode in episodes]
    delays = np.array([pair for found, _, _ in matches for pair in found]).reshape(-1, 2)
    middle = _median(delays[:, 0])
    return GripperFigures(
        rows=int(known.sum()),
        accuracy=float(right.sum() / known.sum()) if known.any() else NAN,
        balanced_accuracy=float(np.mean(parts)) if len(parts) == 2 else NAN,
        open_share=float(is_open.sum() / known.sum()) if known.any() else NAN,
        changes=len(delays) + sum(missed for _, missed, _ in matches),
        matched=len(delays),
        surplus=sum(surplus for _, _, surplus in matches),
        delay_s=middle,
        opening_delay_s=_median(delays[delays[:, 1] > 0.0, 0]),
        closing_delay_s=_median(delays[delays[:, 1] < 0.0, 0]),
        delay_spread_s=float(np.mean(np.abs(delays[:, 0] - middle))) if len(delays) else NAN,
    )


def changes(episode: Joined, column: int, predicted: bool) -> list[tuple[float, int]]:
    """When the gripper opens (+1) and closes (-1): due times of the first rows that ask for it, in seconds."""
    values = (episode.predicted if predicted else episode.recorded)[:, column]
    found: list[tuple[float, int]] = []
    state = 0
    for time, value in zip(episode.times.tolist(), values.tolist(), strict=True):
        new = 1 if value > _OPEN else -1 if value < _CLOSED else state
        if state and new != state:
            found.append((time, new))
        state = new
    return found


def match_changes(
    recorded: Sequence[tuple[float, int]], predicted: Sequence[tuple[float, int]]
) -> tuple[list[tuple[float, int]], int, int]:
    """Pairs recorded with predicted changes of the same kind, the nearest ones first.

    Returns:
        Delay in seconds and kind of each pair; how many recorded and how many predicted changes are left.
    """
    candidates = sorted(
        (abs(mine - its), i, j)
        for i, (its, kind) in enumerate(recorded)
        for j, (mine, other) in enumerate(predicted)
        if kind == other and abs(mine - its) <= _NEAR_S
    )
    used_recorded: set[int] = set()
    used_predicted: set[int] = set()
    pairs: list[tuple[float, int]] = []
    for _, i, j in candidates:
        if i not in used_recorded and j not in used_predicted:
            used_recorded.add(i)
            used_predicted.add(j)
            pairs.append((predicted[j][0] - recorded[i][0], recorded[i][1]))
    return pairs, len(recorded) - len(pairs), len(predicted) - len(pairs)


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else NAN
