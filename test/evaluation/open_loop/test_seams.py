"""Jumps at seams, and jerk, have the values of simple cases."""

import numpy as np
import pytest

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ControlMode
from dvla_ros.evaluation.open_loop.columns import Columns
from dvla_ros.evaluation.open_loop.joined import joined
from dvla_ros.evaluation.open_loop.sample import Sample, stacked
from dvla_ros.evaluation.open_loop.seams import jumps, seam_figures

DT = 0.2


def chunk(anchor, first, step=0.0, horizon=4):
    rows = np.zeros((horizon, 7))
    rows[:, 0] = first + step * np.arange(horizon)
    return Sample(0, anchor, rows, np.zeros((horizon, 7)), np.ones((horizon, 7)), 1, 0.1)


def found(chunks, mode, execute_steps=2):
    samples, columns = stacked(chunks), Columns.of(ACTION_NAMES, mode)
    episodes = joined(samples, execute_steps, DT)
    return jumps(samples, episodes, columns), seam_figures(samples, episodes, columns, DT)


def test_a_jump_is_the_distance_to_what_the_chunk_before_has_for_the_same_time():
    jump, figures = found([chunk(0.0, 0.01), chunk(0.4, 0.03), chunk(0.8, 0.03)], ControlMode.EE_DELTA)
    np.testing.assert_allclose(jump, [np.nan, 0.02, 0.0])
    assert (figures.count, figures.jump, figures.jump_max) == (2, pytest.approx(0.01), pytest.approx(0.02))


def test_chunks_that_continue_each_other_have_no_jump():
    jump, figures = found([chunk(0.0, 0.0, 0.01), chunk(0.4, 0.02, 0.01)], ControlMode.EE_DELTA)
    assert jump[1] == pytest.approx(0.0)
    assert figures.inside == pytest.approx(0.01)
    assert figures.jerk_rms == pytest.approx(0.0, abs=1e-9)


def test_absolute_rows_go_on_straight_after_the_end_of_a_chunk():
    jump, figures = found([chunk(0.0, 0.0, 0.01), chunk(0.8, 0.05, 0.01)], ControlMode.EE_POSE, 4)
    assert jump[1] == pytest.approx(0.01)
    assert figures.inside == pytest.approx(0.0, abs=1e-12)


def test_jerk_is_the_third_derivative_of_the_path():
    times = DT * np.arange(5)
    samples = [chunk(0.0, 0.0, horizon=5)]
    samples[0].predicted[:, 0] = 2.0 * times**3 / 6.0
    _, figures = found(samples, ControlMode.EE_POSE)
    assert figures.jerk_rms == pytest.approx(2.0)
    samples[0].predicted[:, 0] = np.diff(2.0 * np.append(times, 5 * DT) ** 3 / 6.0)
    _, figures = found(samples, ControlMode.EE_DELTA)
    assert figures.jerk_rms == pytest.approx(2.0)
    assert figures.recorded_jerk_rms == 0.0


def test_a_single_chunk_has_no_seam():
    jump, figures = found([chunk(0.0, 0.0)], ControlMode.EE_DELTA)
    assert np.isnan(jump).all() and figures.count == 0 and np.isnan(figures.jump)
