"""Predictions joined to what would be executed: each until the next one is asked for."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.evaluation.open_loop.sample import Samples

_GRID = 0.5
"""Part of a row by which times may differ and still mean the same row."""


@dataclass(frozen=True)
class Joined:
    """The rows of one episode, chunk after chunk, as they would be executed.

    Attributes:
        times: float64 `[T]` due times in seconds.
        predicted: `[T, D]`.
        recorded: `[T, D]`.
        run: int `[T]`; rows of one run follow each other without a gap.
        samples: Indices of the chunks that were executed, in order.
        lags: For each of them but the first, how many rows after the one before it took over; 0 after a gap.
    """

    times: np.ndarray
    predicted: np.ndarray
    recorded: np.ndarray
    run: np.ndarray
    samples: tuple[int, ...]
    lags: tuple[int, ...]


def joined(samples: Samples, execute_steps: int, dt: float) -> list[Joined]:
    """Each episode as it would be executed.

    After `execute_steps` rows the next sample that there is takes over; until then the chunk goes on, as far as it
    reaches.

    Args:
        samples: By episode and time.
        execute_steps: Rows to execute before asking again.
        dt: Seconds between rows.
    """
    return [
        _join(samples, np.flatnonzero(samples.episode == episode), execute_steps, dt)
        for episode in np.unique(samples.episode)
    ]


def _join(samples: Samples, indices: np.ndarray, execute_steps: int, dt: float) -> Joined:
    chosen = _executed(samples.anchor[indices], execute_steps * dt - _GRID * dt)
    index, horizon = indices[chosen], samples.predicted.shape[1]
    anchors = samples.anchor[index]
    rows = np.append(np.maximum(1, np.round(np.diff(anchors) / dt)).astype(int), horizon)
    kept = np.minimum(rows, horizon)
    follows = np.abs(anchors[:-1] + kept[:-1] * dt - anchors[1:]) <= _GRID * dt
    run = np.concatenate([[0], np.cumsum(~follows)])
    return Joined(
        times=np.concatenate([anchor + dt * np.arange(count) for anchor, count in zip(anchors, kept, strict=True)]),
        predicted=np.concatenate([samples.predicted[i, :count] for i, count in zip(index, kept, strict=True)]),
        recorded=np.concatenate([samples.recorded[i, :count] for i, count in zip(index, kept, strict=True)]),
        run=np.repeat(run, kept),
        samples=tuple(int(i) for i in index),
        lags=tuple(int(count) if good else 0 for count, good in zip(rows[:-1], follows, strict=True)),
    )


def _executed(anchors: np.ndarray, least: float) -> list[int]:
    """Indices of the samples that are asked for, each at least `least` seconds after the one before."""
    chosen = [0]
    for index, anchor in enumerate(anchors):
        if anchor - anchors[chosen[-1]] >= least:
            chosen.append(index)
    return chosen if least > 0.0 else list(range(len(anchors)))
