"""Minimum-jerk splines: through their waypoints or near them, smooth, and bounded as claimed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.control.spline import Knots, coefficients, exceeding_pieces, minimum_jerk_knots

seeds = st.integers(0, 2**32 - 1)


def states_of(rng: np.random.Generator, count: int, joints: int = 3) -> np.ndarray:
    """States `[count, 3, joints]` with velocity and acceleration at both ends."""
    states = np.zeros((count, 3, joints))
    states[:, 0] = rng.normal(0.0, 0.3, (count, joints))
    states[[0, -1], 1:] = rng.normal(0.0, 1.0, (2, 2, joints))
    return states


def times_of(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(rng.uniform(0.05, 0.5, count - 1))])


def derivative(pieces: np.ndarray, lengths: np.ndarray, order: int, u: float) -> np.ndarray:
    """A derivative by time of every piece `[n, J]` at part `u`."""
    powers = np.polynomial.polynomial.polyvander(np.array([u]), 5)[0]
    shifted = np.zeros(6)
    for power in range(order, 6):
        shifted[power] = np.prod(np.arange(power - order + 1, power + 1)) * powers[power - order]
    return np.einsum("k,nkj->nj", shifted, pieces) / lengths[:, None] ** order


def jerk_squared(knots: Knots) -> float:
    """Integral of the squared jerk, by the trapezoidal rule."""
    pieces, lengths = coefficients(knots), np.diff(knots.times)
    samples = np.stack([derivative(pieces, lengths, 3, u) for u in np.linspace(0.0, 1.0, 201)])
    return float(np.sum(np.trapezoid(samples**2, dx=1.0 / 200, axis=0) * lengths[:, None]))


@given(seeds, st.integers(2, 9))
def test_goes_through_the_waypoints_and_keeps_both_ends(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    times, states = times_of(rng, count), states_of(rng, count)
    knots = minimum_jerk_knots(times, states)
    pieces, lengths = coefficients(knots), np.diff(times)
    np.testing.assert_allclose(derivative(pieces, lengths, 0, 0.0), states[:-1, 0], atol=1e-12)
    np.testing.assert_allclose(derivative(pieces, lengths, 0, 1.0), states[1:, 0], atol=1e-9)
    np.testing.assert_array_equal(knots.states[[0, -1]], states[[0, -1]])


@given(seeds, st.integers(3, 9), st.sampled_from([0.0, 0.05]))
def test_velocity_and_acceleration_do_not_jump_and_without_smoothing_neither_do_the_next_two(
    seed: int, count: int, smoothing: float
) -> None:
    rng = np.random.default_rng(seed)
    times = times_of(rng, count)
    pieces, lengths = coefficients(minimum_jerk_knots(times, states_of(rng, count), smoothing)), np.diff(times)
    for order in range(1, 4 if smoothing else 5):
        before, after = derivative(pieces, lengths, order, 1.0)[:-1], derivative(pieces, lengths, order, 0.0)[1:]
        scale = 1.0 + np.abs(derivative(pieces, lengths, order, 0.0)).max()
        np.testing.assert_allclose(before, after, atol=1e-6 * scale)


@settings(max_examples=30)
@given(seeds)
def test_no_other_motion_through_the_waypoints_has_less_jerk(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times, states = times_of(rng, 6), states_of(rng, 6)
    best = minimum_jerk_knots(times, states)
    other = best.states.copy()
    other[1:-1, 1:] += rng.normal(0.0, 0.05, (4, 2, 3))
    assert jerk_squared(Knots(times, other)) > jerk_squared(best)


def test_a_straight_line_at_constant_speed_stays_one() -> None:
    times = np.array([0.0, 0.3, 0.4, 1.1])
    states = np.zeros((4, 3, 2))
    states[:, 0] = np.outer(times, [1.0, -2.0])
    states[[0, -1], 1] = [1.0, -2.0]
    for smoothing in (0.0, 0.1):
        knots = minimum_jerk_knots(times, states, smoothing)
        np.testing.assert_allclose(knots.states[:, 1], np.tile([1.0, -2.0], (4, 1)), atol=1e-9)
        np.testing.assert_allclose(knots.states[:, 2], 0.0, atol=1e-8)


@settings(max_examples=30)
@given(seeds)
def test_more_smoothing_means_less_jerk_and_more_distance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times, states = times_of(rng, 8), states_of(rng, 8)
    jerks, distances = [], []
    for smoothing in (0.0, 0.02, 0.1):
        knots = minimum_jerk_knots(times, states, smoothing)
        weights = 0.5 * (times[2:] - times[:-2])
        jerks.append(jerk_squared(knots))
        distances.append(float(weights @ np.sum((knots.states - states)[1:-1, 0] ** 2, axis=1)))
    assert jerks == sorted(jerks, reverse=True)
    assert distances == sorted(distances)


@settings(max_examples=60)
@given(seeds, st.integers(2, 6), st.integers(0, 2))
def test_a_piece_that_leaves_a_limit_is_never_missed(seed: int, count: int, which: int) -> None:
    rng = np.random.default_rng(seed)
    times = times_of(rng, count)
    knots = minimum_jerk_knots(times, states_of(rng, count))
    pieces, lengths = coefficients(knots), np.diff(times)
    peaks = np.max([np.abs(derivative(pieces, lengths, which + 1, u)) for u in np.linspace(0, 1, 101)], axis=0)
    limits = np.full((3, 3), 1e9)
    limits[which] = np.median(peaks)
    named = exceeding_pieces(knots, pieces, limits)
    assert named[(peaks > limits[which]).any(axis=1)].all()
    assert not named[(peaks * 1.25 < limits[which]).all(axis=1)].any() or which == 0


@pytest.mark.parametrize("gap", [0.004, 0.0041, 1.0])
def test_very_different_intervals_do_no_harm(gap: float) -> None:
    times = np.cumsum([0.0, 0.004, gap, 2.0, 0.004])
    states = np.zeros((5, 3, 1))
    states[:, 0, 0] = [0.0, 0.001, 0.0, 0.5, 0.501]
    pieces, lengths = coefficients(minimum_jerk_knots(times, states)), np.diff(times)
    np.testing.assert_allclose(derivative(pieces, lengths, 0, 1.0)[:, 0], states[1:, 0, 0], atol=1e-9)
    velocities = derivative(pieces, lengths, 1, 1.0)[:-1], derivative(pieces, lengths, 1, 0.0)[1:]
    np.testing.assert_allclose(velocities[0], velocities[1], atol=1e-6)
