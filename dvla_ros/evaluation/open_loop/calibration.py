"""Whether the decoder is as sure as it is right."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.evaluation.open_loop.tally import expected_calibration_error

BINS = 10
_EQUAL = 1e-6


@dataclass(frozen=True)
class ReliabilityBin:
    """Values of which the decoder was about equally sure.

    Attributes:
        low: Lowest confidence.
        high: Highest confidence.
        count: How many values.
        confidence: Mean confidence; NaN without values.
        correct: Share that is correct; NaN without values.
    """

    low: float
    high: float
    count: int
    confidence: float
    correct: float


@dataclass(frozen=True)
class CalibrationFigures:
    """Confidence against correctness, value by value.

    Attributes:
        tolerance: A value is correct when its error is at most this part of the scale of its column.
        values: How many values.
        correct: Share of them that is correct.
        confidence: Mean confidence.
        ece: Expected calibration error, 0 best; NaN where the confidence is the same everywhere.
        overconfidence: Mean confidence less share of correct ones; below zero: too modest.
        constant: Whether the confidence is the same everywhere, and so says nothing.
        bins: The reliability curve, ten bins of equal width.
    """

    tolerance: float
    values: int
    correct: float
    confidence: float
    ece: float
    overconfidence: float
    constant: bool
    bins: tuple[ReliabilityBin, ...]


def bin_sums(
    error: np.ndarray, confidence: np.ndarray, scale: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of values, sum of confidences and number of correct values by confidence, `[N, B]` each.

    Args:
        error: `[N, H, D]`; NaN where nothing was recorded.
        confidence: `[N, H, D]` in 0..1.
        scale: `[D]`; columns without one do not count.
        tolerance: Part of the scale.
    """
    known = np.isfinite(error) & np.isfinite(confidence) & np.isfinite(scale)
    correct = known & (np.abs(error) <= tolerance * scale)
    place = np.clip((np.nan_to_num(confidence) * BINS).astype(int), 0, BINS - 1)
    flat = place + BINS * np.arange(len(error))[:, None, None]

    def total(weights: np.ndarray) -> np.ndarray:
        summed = np.bincount(flat.ravel(), weights=weights.ravel().astype(float), minlength=BINS * len(error))
        return summed.reshape(len(error), BINS)

    return total(known), total(np.where(known, confidence, 0.0)), total(correct)


def calibration_figures(
    count: np.ndarray, confidence: np.ndarray, correct: np.ndarray, tolerance: float, spread: float
) -> CalibrationFigures:
    """Figures from sums `[B]`.

    Args:
        count: Values in each bin.
        confidence: Sums of their confidences.
        correct: How many of them are correct.
        tolerance: As it was for `correct`.
        spread: Largest less smallest confidence.
    """
    total, nan = float(count.sum()), float("nan")
    constant = total > 0 and spread <= _EQUAL
    mean, right = (float(confidence.sum() / total), float(correct.sum() / total)) if total else (nan, nan)
    ece = float(expected_calibration_error(count[None], confidence[None], correct[None])[0])
    return CalibrationFigures(
        tolerance=tolerance,
        values=int(total),
        correct=right,
        confidence=mean,
        ece=nan if constant else ece,
        overconfidence=mean - right,
        constant=constant,
        bins=tuple(_bin(index, count[index], confidence[index], correct[index]) for index in range(BINS)),
    )


def _bin(index: int, count: float, confidence: float, correct: float) -> ReliabilityBin:
    nan = float("nan")
    return ReliabilityBin(
        low=index / BINS,
        high=(index + 1) / BINS,
        count=int(count),
        confidence=float(confidence / count) if count else nan,
        correct=float(correct / count) if count else nan,
    )
