"""Temporal ensembling: the right predictions with the right weights, and rotations averaged as such."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.ensemble import TemporalEnsemble, mean_angles
from dvla_ros.control.rotation import matrix_from_euler, rotation_angle
from dvla_ros.errors import ActionError, ConfigurationError

DT = 0.2
NOON = 1.8e9


def rows(*values: float, width: int = 7) -> np.ndarray:
    """A chunk whose rows are each filled with one number."""
    return np.array(values, np.float32)[:, None] * np.ones(width, np.float32)


def test_one_chunk_is_its_own_mean() -> None:
    actions = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    for mode in ControlMode:
        np.testing.assert_array_equal(TemporalEnsemble().add(NOON, DT, actions, mode), actions)


def test_weights_fall_from_the_oldest_prediction_on() -> None:
    ensemble = TemporalEnsemble(decay=0.5)
    ensemble.add(0.0, DT, rows(9.0, 9.0, 1.0), ControlMode.EE_DELTA)
    ensemble.add(DT, DT, rows(9.0, 2.0), ControlMode.EE_DELTA)
    mean = ensemble.add(2 * DT, DT, rows(4.0), ControlMode.EE_DELTA)
    first, second, third = 1.0, math.exp(-0.5), math.exp(-1.0)
    expected = (1.0 * first + 2.0 * second + 4.0 * third) / (first + second + third)
    np.testing.assert_allclose(mean, expected, rtol=1e-6)


def test_only_predictions_for_the_same_due_time_are_averaged() -> None:
    ensemble = TemporalEnsemble(decay=0.0)
    ensemble.add(0.0, DT, rows(1.0, 2.0, 3.0), ControlMode.JOINT_POSITION)
    mean = ensemble.add(DT, DT, rows(4.0, 5.0, 6.0), ControlMode.JOINT_POSITION)
    np.testing.assert_allclose(mean[:, 0], [3.0, 4.0, 6.0])


def test_an_action_of_zeros_counts_as_a_prediction() -> None:
    ensemble = TemporalEnsemble(decay=0.0)
    ensemble.add(0.0, DT, rows(0.0, 0.0), ControlMode.EE_DELTA)
    np.testing.assert_allclose(ensemble.add(DT, DT, rows(1.0), ControlMode.EE_DELTA), 0.5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 3))
def test_the_mean_of_numbers_lies_between_the_predictions(seed: int, horizon: int, stride: int) -> None:
    rng, ensemble = np.random.default_rng(seed), TemporalEnsemble()
    known: dict[int, list[np.ndarray]] = {}
    for first in range(0, 6 * stride, stride):
        actions = rng.normal(size=(horizon, 7)).astype(np.float32)
        for index in range(horizon):
            known.setdefault(first + index, []).append(actions[index])
        mean = ensemble.add(NOON + first * DT, DT, actions, ControlMode.JOINT_DELTA)
        for index in range(horizon):
            predictions = np.stack(known[first + index])
            assert (mean[index] >= predictions.min(axis=0) - 1e-6).all()
            assert (mean[index] <= predictions.max(axis=0) + 1e-6).all()


def test_angles_of_poses_are_averaged_across_the_seam() -> None:
    ensemble = TemporalEnsemble(decay=0.0)
    near, far = rows(0.5), rows(0.5)
    near[0, 3:6], far[0, 3:6] = [0.0, 0.0, math.pi - 0.1], [0.0, 0.0, -math.pi + 0.3]
    ensemble.add(0.0, DT, near, ControlMode.EE_POSE)
    mean = ensemble.add(0.0, DT, far, ControlMode.EE_POSE)
    np.testing.assert_allclose(mean[0, 3:6], [0.0, 0.0, -math.pi + 0.1], atol=1e-6)
    np.testing.assert_allclose(mean[0, [0, 1, 2, 6]], 0.5)


@given(st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3), st.floats(0.0, 1.5), st.floats(0.1, 0.9))
def test_the_mean_of_two_rotations_lies_on_the_way_between_them(
    euler: list[float], angle: float, weight: float
) -> None:
    a = np.array(euler)
    b_matrix = matrix_from_euler(a) @ matrix_from_euler(np.array([0.0, 0.0, angle]))
    b = np.array([math.atan2(b_matrix[2, 1], b_matrix[2, 2]), -math.asin(np.clip(b_matrix[2, 0], -1.0, 1.0)), 0.0])
    b[2] = math.atan2(b_matrix[1, 0], b_matrix[0, 0])
    mean = matrix_from_euler(mean_angles(np.stack([a, b]), np.array([1.0 - weight, weight])))
    to_a, to_b = rotation_angle(mean, matrix_from_euler(a)), rotation_angle(mean, matrix_from_euler(b))
    assert to_a + to_b == pytest.approx(rotation_angle(matrix_from_euler(a), matrix_from_euler(b)), abs=1e-5)
    assert (to_a <= to_b + 1e-5) == (weight <= 0.5) or to_a == pytest.approx(to_b, abs=1e-5)


def test_a_grid_that_drifts_by_clock_rounding_is_still_the_same_grid() -> None:
    ensemble = TemporalEnsemble(decay=0.0)
    ensemble.add(NOON, DT, rows(0.0, 2.0), ControlMode.EE_DELTA)
    mean = ensemble.add(NOON + DT + 9e-4, DT, rows(4.0), ControlMode.EE_DELTA)
    np.testing.assert_allclose(mean, 3.0)


@pytest.mark.parametrize(("stamp", "dt"), [(DT + 2e-3, DT), (DT, DT * 1.1), (math.nan, DT), (DT, math.inf)])
def test_due_times_off_the_grid_are_an_error(stamp: float, dt: float) -> None:
    ensemble = TemporalEnsemble()
    ensemble.add(0.0, DT, rows(0.0, 2.0), ControlMode.EE_DELTA)
    with pytest.raises(ActionError, match=r"grid|finite"):
        ensemble.add(stamp, dt, rows(1.0, 1.0), ControlMode.EE_DELTA)


def test_a_refused_chunk_leaves_the_predictions_as_they_were() -> None:
    ensemble = TemporalEnsemble(decay=0.0)
    ensemble.add(0.0, DT, rows(0.0, 2.0), ControlMode.EE_DELTA)
    with pytest.raises(ActionError):
        ensemble.add(DT + 0.01, DT, rows(9.0), ControlMode.EE_DELTA)
    np.testing.assert_allclose(ensemble.add(DT, DT, rows(4.0), ControlMode.EE_DELTA), 3.0)


def test_another_width_or_mode_is_an_error() -> None:
    ensemble = TemporalEnsemble()
    ensemble.add(0.0, DT, rows(0.0), ControlMode.EE_DELTA)
    with pytest.raises(ActionError, match="EE_POSE"):
        ensemble.add(DT, DT, rows(0.0), ControlMode.EE_POSE)
    with pytest.raises(ActionError, match="8 EE_DELTA columns"):
        ensemble.add(DT, DT, rows(0.0, width=8), ControlMode.EE_DELTA)


def test_after_clearing_a_chunk_begins_a_new_grid() -> None:
    ensemble = TemporalEnsemble(decay=0.0)
    ensemble.add(0.0, DT, rows(0.0, 0.0), ControlMode.EE_DELTA)
    ensemble.clear()
    np.testing.assert_allclose(ensemble.add(0.07, 0.1, rows(4.0, 4.0), ControlMode.EE_POSE), 4.0)


def test_forgets_due_times_that_no_chunk_covers_any_more() -> None:
    ensemble = TemporalEnsemble(decay=0.0)
    for index in range(50):
        ensemble.add(index * DT, DT, rows(0.0, 0.0), ControlMode.EE_DELTA)
    assert len(ensemble._predictions) == 2


def test_a_negative_decay_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="decay"):
        TemporalEnsemble(-0.1)
