"""Synthetic predictions and recordings: an arm that moves in a known way, and policies that are wrong in known ways."""

from collections.abc import Callable

import numpy as np

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.evaluation.open_loop.sample import Sample

DT, HORIZON = 0.2, 8
NAMES = ACTION_NAMES
SURE = np.linspace(0.95, 0.85, HORIZON)[:, None]
Motion = Callable[[np.ndarray], np.ndarray]


def motion(seed: int = 0) -> Motion:
    """Increments `[n, 7]` at times `[n]`: smooth, never the same twice, with a gripper that opens and closes."""
    rng = np.random.default_rng(seed)
    phases, speeds = rng.uniform(0.0, 6.0, (2, 6)), rng.uniform(0.8, 2.0, (2, 6))
    size = np.array([0.015, 0.015, 0.015, 0.05, 0.05, 0.05])

    def actions(times: np.ndarray) -> np.ndarray:
        waves = np.sin(speeds[0] * times[:, None] + phases[0]) + np.sin(speeds[1] * times[:, None] + phases[1])
        opening = (np.sin(1.1 * times + seed) > 0.0).astype(float)
        return np.concatenate([size * waves, opening[:, None]], axis=1)

    return actions


def episode(
    number: int = 0,
    seconds: float = 20.0,
    every: float = DT,
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    late: float = 0.0,
    confidence: float | np.ndarray = SURE,
    horizon: int = HORIZON,
) -> list[Sample]:
    """Predictions every `every` seconds: those of the true motion, `late` seconds late, changed by `predict`.

    Args:
        number: Of the episode; also the seed of its motion.
        seconds: Length.
        every: Between anchors.
        predict: From times `[H]` and true actions `[H, 7]` to the predicted ones.
        late: Seconds by which the prediction lags behind what was recorded.
        confidence: Of every value.
        horizon: H.
    """
    true, start = motion(number), 1000.0 * (number + 1)
    result = []
    for index in range(round(seconds / every)):
        times = index * every + DT * np.arange(horizon)
        predicted = true(times - late)
        if predict is not None:
            predicted = predict(times, predicted)
        sure = np.broadcast_to(confidence, predicted.shape)
        result.append(Sample(number, start + index * every, predicted, true(times), sure, 4, 0.05))
    return result
