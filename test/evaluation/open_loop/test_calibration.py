"""Confidence against correctness."""

import numpy as np
import pytest

from dvla_ros.evaluation.open_loop.calibration import bin_sums, calibration_figures

SCALE = np.array([2.0])


def figures(error, confidence, tolerance=0.5):
    confidence = np.asarray(confidence, float)[:, None, None]
    sums = bin_sums(np.asarray(error, float)[:, None, None], confidence, SCALE, tolerance)
    return calibration_figures(*(part.sum(axis=0) for part in sums), tolerance, float(np.ptp(confidence)))


def test_a_value_is_correct_within_the_tolerance_of_the_scale():
    found = figures([0.9, 1.0, 1.1, np.nan], [0.05, 0.15, 0.25, 0.35])
    assert found.values == 3 and found.correct == pytest.approx(2 / 3)
    assert [part.count for part in found.bins[:4]] == [1, 1, 1, 0]


def test_a_decoder_as_sure_as_it_is_right_has_no_calibration_error():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.0, 1.0, 40_000)
    error = np.where(rng.random(40_000) < sure, 0.0, 9.0)
    found = figures(error, sure)
    assert found.ece < 0.015 and abs(found.overconfidence) < 0.01
    assert all(abs(part.confidence - part.correct) < 0.03 for part in found.bins)


def test_a_decoder_that_is_too_sure_by_a_third_shows_it():
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.8, 1.0, 20_000)
    found = figures(np.where(rng.random(20_000) < sure - 1 / 3, 0.0, 9.0), sure)
    assert found.ece == pytest.approx(1 / 3, abs=0.02)
    assert found.overconfidence == pytest.approx(1 / 3, abs=0.02)


def test_the_same_confidence_everywhere_says_nothing():
    found = figures([0.0, 9.0], [1.0, 1.0])
    assert found.constant and np.isnan(found.ece)


def test_columns_without_a_scale_do_not_count():
    sums = bin_sums(np.zeros((1, 1, 2)), np.full((1, 1, 2), 0.5), np.array([1.0, np.nan]), 0.5)
    assert sums[0].sum() == 1
