"""Motion: the arm goes where the actions send it, and is not idle most of the time."""

from collections.abc import Iterator

import numpy as np

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.datasets.checks.finding import Finding
from dvla_ros.datasets.gathered import Gathered
from dvla_ros.datasets.idle import idle_frames

_IDLE = 0.30
_AGREES = 0.2
_MOVES_M = 0.004
"""Axes along which the arm moves less (standard deviation per frame) say nothing about direction."""
_FEWEST = 20
_LONGEST_LAG_S = 0.6


def idle_share(gathered: Gathered) -> float:
    """Share of the frames in which nothing is commanded."""
    idle = np.concatenate([idle_frames(stretch.actions) for stretch in gathered.stretches])
    return float(idle.mean())


def check_idle(gathered: Gathered) -> Iterator[Finding]:
    """Not too many frames in which nothing is commanded: a policy learns to do nothing from them."""
    share = idle_share(gathered)
    if share > _IDLE:
        yield Finding(
            "idle",
            f"In {share:.0%} of the frames nothing is commanded; a policy learns from them to stay where it is. "
            "Convert with --idle trim or --idle drop.",
        )


def check_direction(gathered: Gathered) -> Iterator[Finding]:
    """The measured way from frame to frame follows the commanded one, at the delay that fits best."""
    for axis in range(3):
        pairs = [_at_lag(gathered, axis, lag) for lag in range(max(1, round(_LONGEST_LAG_S * gathered.fps)) + 1)]
        commanded, measured = pairs[0]
        if len(commanded) < _FEWEST or min(commanded.std(), measured.std()) < _MOVES_M:
            continue
        best = max((_correlation(*pair) for pair in pairs if len(pair[0]) >= _FEWEST), key=abs)
        if best < _AGREES:
            yield Finding(
                "direction",
                f"The arm does not move along {ACTION_NAMES[axis][1:]} as {ACTION_NAMES[axis]} says (correlation "
                f"{best:.2f}): another frame of reference, a swapped axis or sign, or a source of actions that did not "
                "drive the arm?",
            )


def _at_lag(gathered: Gathered, axis: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Commanded and measured way along an axis; the measured one is `lag` frames later."""
    commanded: list[np.ndarray] = [np.zeros(0)]
    measured: list[np.ndarray] = [np.zeros(0)]
    for stretch in gathered.stretches:
        ways = np.diff(stretch.states[:, axis])[lag:]
        commanded.append(stretch.actions[: len(ways), axis])
        measured.append(ways)
    return np.concatenate(commanded), np.concatenate(measured)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Of the ranks (Spearman), for which a single bad sample counts little."""
    ranks = [values.argsort().argsort() for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
