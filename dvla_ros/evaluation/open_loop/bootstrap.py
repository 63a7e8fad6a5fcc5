"""How far a figure may be off by chance: intervals by drawing episodes, or blocks of frames, again."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.evaluation.open_loop.tally import Tally, headline

LEVEL = 0.95
_DRAWS_AT_ONCE = 100


@dataclass(frozen=True)
class Interval:
    """Where a figure lies, by the percentile bootstrap.

    Attributes:
        low: Lower end; NaN where the figure is not known.
        high: Upper end.
    """

    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """Intervals of the figures that a report begins with.

    Attributes:
        mae, rmse, normalised_error, gripper_accuracy, direction, seam_jump, ece: As in `Headline`.
        level: Share of the draws between the ends.
        drawn: What was drawn again, in words.
        draws: How often.
        seed: Of the draws.
    """

    mae: Interval
    rmse: Interval
    normalised_error: Interval
    gripper_accuracy: Interval
    direction: Interval
    seam_jump: Interval
    ece: Interval
    level: float
    drawn: str
    draws: int
    seed: int


_FIGURES = ("mae", "rmse", "normalised_error", "gripper_accuracy", "direction", "seam_jump", "ece")


def intervals(
    samples: Tally, episode: np.ndarray, scale: np.ndarray, block: int, draws: int = 1000, seed: int = 0
) -> Intervals:
    """Intervals of the figures of all samples together.

    Whole episodes are drawn, with replacement: frames of one episode are alike. Where there is only one, blocks of
    neighbouring frames are (circular moving blocks: Politis and Romano 1992), which is too sure of itself: it knows
    nothing of other episodes.

    Args:
        samples: One unit for each sample, in order of time within an episode.
        episode: `[U]` index of the episode of each.
        scale: `[D]`, see `headline`.
        block: Least length of a block, in frames: so many that neighbouring predictions speak of the same rows.
        draws: How many.
        seed: Of the draws.
    """
    rng, names = np.random.default_rng(seed), np.unique(episode)
    if len(names) > 1:
        units = samples.weighted((names[:, None] == episode[None, :]).astype(float))
        drawn = f"{len(names)} episodes"
        length = 1
    else:
        units, length = samples, min(len(episode), max(block, round(len(episode) ** 0.5)))
        drawn = f"blocks of {length} frames of one episode"
    figures = [
        headline(units.weighted(_weights(rng, min(_DRAWS_AT_ONCE, draws - done), len(units.count), length)), scale)
        for done in range(0, draws, _DRAWS_AT_ONCE)
    ]
    found = {name: _interval(np.concatenate([getattr(part, name) for part in figures])) for name in _FIGURES}
    return Intervals(**found, level=LEVEL, drawn=drawn, draws=draws, seed=seed)


def _weights(rng: np.random.Generator, draws: int, units: int, length: int) -> np.ndarray:
    """How often each unit was drawn, `[draws, units]`; blocks of `length` neighbours, the last one cut."""
    blocks = -(-units // length)
    starts = rng.integers(units, size=(draws, blocks))
    index = ((starts[:, :, None] + np.arange(length)) % units).reshape(draws, -1)[:, :units]
    flat = index + units * np.arange(draws)[:, None]
    return np.bincount(flat.ravel(), minlength=draws * units).reshape(draws, units).astype(float)


def _interval(values: np.ndarray) -> Interval:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return Interval(float("nan"), float("nan"))
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(known, [tail, 100.0 - tail])
    return Interval(float(low), float(high))
