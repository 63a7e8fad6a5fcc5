"""What is added up of every sample, so that any group of samples has its figures from sums alone."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Tally:
    """Sums, one for each unit u: a sample, an episode, or a draw of the bootstrap.

    Attributes:
        count: `[U, D]` values that were compared.
        absolute: `[U, D]` sum of absolute errors.
        square: `[U, D]` sum of squared errors.
        gripper: `[U]` rows with a gripper.
        gripper_right: `[U]` of them, on the right side of half open.
        moving: `[U]` rows in which the recorded arm moves.
        cosine: `[U]` sum of the cosines between predicted and recorded motion in them.
        seams: `[U]` seams.
        jump: `[U]` sum of their jumps.
        bin_count: `[U, B]` values by the confidence of their prediction.
        bin_confidence: `[U, B]` sum of these confidences.
        bin_correct: `[U, B]` of them, correct.
    """

    count: np.ndarray
    absolute: np.ndarray
    square: np.ndarray
    gripper: np.ndarray
    gripper_right: np.ndarray
    moving: np.ndarray
    cosine: np.ndarray
    seams: np.ndarray
    jump: np.ndarray
    bin_count: np.ndarray
    bin_confidence: np.ndarray
    bin_correct: np.ndarray

    def weighted(self, weights: np.ndarray) -> "Tally":
        """Sums over the units, each as often as the weights `[V, U]` say; V units."""
        return Tally(**{field.name: weights @ getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True)
class Headline:
    """The figures of each unit, `[U]` each; NaN where there is nothing to judge by.

    Attributes:
        mae: Mean absolute error over all columns, each in its own unit.
        rmse: Root of the mean square error over all columns.
        normalised_error: Root of the mean over the columns of (RMSE / scale)².
        gripper_accuracy: Share of rows with the gripper on the right side of half open.
        direction: Mean cosine between predicted and recorded motion.
        seam_jump: Mean jump at a seam.
        ece: Expected calibration error.
    """

    mae: np.ndarray
    rmse: np.ndarray
    normalised_error: np.ndarray
    gripper_accuracy: np.ndarray
    direction: np.ndarray
    seam_jump: np.ndarray
    ece: np.ndarray


def headline(tally: Tally, scale: np.ndarray) -> Headline:
    """Figures from sums.

    Args:
        tally: U units.
        scale: `[D]`, what one unit of normalised error is; NaN for columns that do not count.
    """
    values = tally.count.sum(axis=1)
    return Headline(
        mae=ratio(tally.absolute.sum(axis=1), values),
        rmse=np.sqrt(ratio(tally.square.sum(axis=1), values)),
        normalised_error=normalised(tally.count, tally.square, scale),
        gripper_accuracy=ratio(tally.gripper_right, tally.gripper),
        direction=ratio(tally.cosine, tally.moving),
        seam_jump=ratio(tally.jump, tally.seams),
        ece=expected_calibration_error(tally.bin_count, tally.bin_confidence, tally.bin_correct),
    )


def normalised(count: np.ndarray, square: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Root of the mean over the columns of the mean square error in units of the scale.

    Args:
        count: `[..., D]` values.
        square: `[..., D]` sums of squared errors.
        scale: `[D]`.
    """
    parts = ratio(square, count * scale**2)
    known = np.isfinite(parts)
    return np.sqrt(ratio(np.where(known, parts, 0.0).sum(axis=-1), known.sum(axis=-1)))


def expected_calibration_error(count: np.ndarray, confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Mean distance between confidence and share of correct values, over the bins `[..., B]`, by their counts.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, equation 3.
    """
    return ratio(np.abs(correct - confidence).sum(axis=-1), count.sum(axis=-1))


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotients; NaN where the denominator is not above zero."""
    good = denominator > 0.0
    return np.where(good, numerator / np.where(good, denominator, 1.0), np.nan)
