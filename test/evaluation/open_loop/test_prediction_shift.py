"""A shift is found between rows, and only where the evidence is there."""

import numpy as np
import pytest

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ControlMode
from dvla_ros.evaluation.open_loop.columns import Columns
from dvla_ros.evaluation.open_loop.joined import Joined
from dvla_ros.evaluation.open_loop.prediction_shift import prediction_shift

DT = 0.2
COLUMNS = Columns.of(ACTION_NAMES, ControlMode.EE_DELTA)


def found(late, rows=200, noise=0.0):
    times = DT * np.arange(rows)

    def wave(at):
        return np.stack([0.01 * np.sin(at * speed) for speed in (1.0, 1.3, 1.7, 1.0, 1.0, 1.0, 1.0)], axis=1)

    predicted = wave(times - late) + noise * np.random.default_rng(0).standard_normal((rows, 7))
    episode = Joined(times, predicted, wave(times), np.zeros(rows, int), (0,), ())
    return prediction_shift([episode], COLUMNS, DT)


@pytest.mark.parametrize("late", [0.3, -0.25, 0.4])
def test_a_shift_is_found_between_rows(late):
    assert found(late).shift_s == pytest.approx(-late, abs=0.04)
    assert found(late).reliable


def test_no_shift_is_reported_without_one_or_without_evidence():
    assert not found(0.0).reliable and abs(found(0.0).shift_s) < 1e-3
    assert not found(0.4, noise=0.5).reliable
    assert not found(0.4, rows=20).reliable
    assert not found(0.4, rows=3).reliable
