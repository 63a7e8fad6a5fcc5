"""Joint motion: through its waypoints, continuous in velocity, within the speed limit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.interpolation import HermiteSegment, JointMotion, passing_velocity

LIMIT = np.full(6, np.pi)


def vectors(limit: float) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.floats(-limit, limit), min_size=6, max_size=6).map(np.array)


@given(vectors(1.0), vectors(2.0), vectors(1.0), vectors(2.0), st.floats(0.05, 1.0))
def test_segment_meets_its_ends(
    q0: np.ndarray, v0: np.ndarray, q1: np.ndarray, v1: np.ndarray, duration: float
) -> None:
    segment = HermiteSegment(5.0, duration, q0, v0, q1, v1)
    for time, position, velocity in ((5.0, q0, v0), (segment.end, q1, v1)):
        sample = segment.sample(time)
        np.testing.assert_allclose(sample[0], position, atol=1e-9)
        np.testing.assert_allclose(sample[1], velocity, atol=1e-6)


@given(vectors(1.0), vectors(2.0), vectors(1.0), vectors(2.0))
def test_velocity_is_the_derivative_and_peak_speed_its_bound(
    q0: np.ndarray, v0: np.ndarray, q1: np.ndarray, v1: np.ndarray
) -> None:
    segment = HermiteSegment(0.0, 0.4, q0, v0, q1, v1)
    times = np.linspace(0.0, 0.4, 401)
    positions = np.array([segment.sample(t)[0] for t in times])
    speeds = np.array([segment.sample(t)[1] for t in times])
    np.testing.assert_allclose(np.gradient(positions, times, axis=0)[1:-1], speeds[1:-1], atol=5e-3)
    peak = segment.peak_speed()
    assert np.all(np.abs(speeds) <= peak + 1e-9)
    assert np.all(np.max(np.abs(speeds), axis=0) >= peak - 1e-2)


def test_after_its_end_a_segment_rests() -> None:
    segment = HermiteSegment(0.0, 0.2, np.zeros(6), np.zeros(6), np.ones(6), np.ones(6))
    position, velocity = segment.sample(0.3)
    np.testing.assert_array_equal(position, np.ones(6))
    np.testing.assert_array_equal(velocity, np.zeros(6))


@given(vectors(2.0), vectors(2.0))
def test_passing_velocity_keeps_each_joint_monotone(before: np.ndarray, after: np.ndarray) -> None:
    velocity = passing_velocity(before, after)
    assert np.all(velocity[before * after <= 0.0] == 0.0)
    assert np.all(velocity * before >= 0.0)
    assert np.all(np.abs(velocity) <= 2.0 * np.minimum(np.abs(before), np.abs(after)) + 1e-9)


def test_passing_velocity_of_an_even_motion_is_its_speed() -> None:
    np.testing.assert_allclose(passing_velocity(np.full(6, 0.3), np.full(6, 0.3)), np.full(6, 0.3))


@given(st.lists(st.tuples(vectors(0.3), st.floats(0.001, 0.3)), min_size=2, max_size=5))
def test_motion_never_jumps_and_never_exceeds_the_speed_limit(moves: list[tuple[np.ndarray, float]]) -> None:
    motion, start, step = JointMotion(np.zeros(6), LIMIT), 0.0, 0.002
    previous, speed = motion.sample(0.0)
    for target, duration in moves:
        before = motion.sample(start)
        motion.move_to(target, start, start + duration, np.zeros(6))
        for a, b in zip(before, motion.sample(start), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-9)
        for now in np.arange(start, start + duration, step).tolist():
            position, speed = motion.sample(now)
            assert np.all(np.abs(position - previous) <= LIMIT * step + 1e-9)
            assert np.all(np.abs(speed) <= LIMIT + 1e-6)
            previous = position
        start += duration
        previous = motion.sample(start)[0]
    end, speed = motion.sample(start + 60.0)
    np.testing.assert_array_equal(end, moves[-1][0])
    np.testing.assert_array_equal(speed, np.zeros(6))


def test_rest_stops_where_told() -> None:
    motion = JointMotion(np.zeros(6), LIMIT)
    motion.move_to(np.ones(6), 0.0, 1.0, np.zeros(6))
    motion.rest_at(np.full(6, 0.2))
    position, velocity = motion.sample(0.7)
    np.testing.assert_array_equal(position, np.full(6, 0.2))
    np.testing.assert_array_equal(velocity, np.zeros(6))
