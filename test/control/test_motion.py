"""Joint motion: through the waypoints, without a jump, never beyond a limit, and to rest."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.control.motion import JointMotion, MotionLimits, Waypoint
from dvla_ros.errors import ActionError, ConfigurationError

LIMITS = MotionLimits(np.full(6, np.pi), np.full(6, 20.0), np.full(6, 600.0))
START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
EASY = 0.1
"""Rest, a row of 0.3 s and at most this many rad for each, and the limits are far."""

seeds = st.integers(0, 2**32 - 1)


def row_waypoints(
    rng: np.random.Generator, joints: np.ndarray, start: float, count: int, dt: float, step: float
) -> list[Waypoint]:
    """Waypoints `dt` seconds apart; no joint goes further than `step` rad from one to the next."""
    steps = rng.uniform(-step, step, (count, 6))
    joints = joints + np.cumsum(steps, axis=0)
    return [Waypoint(start + (index + 1) * dt, row) for index, row in enumerate(joints)]


def replanned(motion: JointMotion, rng: np.random.Generator, hz: int, ticks: int) -> np.ndarray:
    """Commands `[ticks, 6]` while somebody changes his mind at random ticks, also wildly."""
    commands, change = [], 0
    for tick in range(ticks):
        now = tick / hz
        if tick == change:
            replan(motion, rng, now)
            change = tick + int(rng.integers(1, hz))
        commands.append(motion.sample(now).position)
    return np.array(commands)


def replan(motion: JointMotion, rng: np.random.Generator, now: float) -> None:
    position = motion.sample(now).position
    step = float(rng.choice([0.02, 0.1, 0.5]))
    waypoints = row_waypoints(rng, position, now, int(rng.integers(1, 6)), float(rng.choice([0.02, 0.1, 0.2])), step)
    if rng.random() < 0.15:
        motion.brake(now)
    else:
        motion.scale_limits(float(rng.choice([0.2, 1.0])))
        motion.follow(waypoints, now, stop_at_end=bool(rng.random() < 0.5))


@settings(max_examples=40)
@given(seeds, st.sampled_from([50, 125, 200, 500]))
def test_limits_hold_between_commands_however_often_the_plan_changes(seed: int, hz: int) -> None:
    motion = JointMotion(START, LIMITS)
    commands = replanned(motion, np.random.default_rng(seed), hz, ticks=150)
    for order, limit in ((1, np.pi), (2, 20.0), (3, 600.0)):
        assert np.abs(np.diff(commands, order, axis=0)).max() * hz**order <= limit * (1.0 + 1e-4)


@settings(max_examples=60)
@given(seeds, st.floats(0.0, 0.9), st.booleans())
def test_position_velocity_and_acceleration_do_not_jump_when_the_plan_changes(
    seed: int, when: float, braking: bool
) -> None:
    rng, motion = np.random.default_rng(seed), JointMotion(START, LIMITS)
    motion.follow(row_waypoints(rng, START, 0.0, 4, 0.2, 0.2), 0.0)
    before = motion.sample(when)
    if braking:
        motion.brake(when)
    else:
        motion.follow(row_waypoints(rng, before.position, when, 4, 0.2, 0.2), when)
    after = motion.sample(when)
    np.testing.assert_allclose(after.position, before.position, atol=1e-9)
    np.testing.assert_allclose(after.velocity, before.velocity, atol=1e-9)
    np.testing.assert_allclose(after.acceleration, before.acceleration, atol=1e-7)


@settings(max_examples=30)
@given(seeds, st.sampled_from([0.05, 0.4]))
def test_velocity_and_acceleration_are_derivatives_along_the_whole_motion(seed: int, step: float) -> None:
    motion, h = JointMotion(START, LIMITS), 1e-4
    motion.follow(row_waypoints(np.random.default_rng(seed), START, 0.0, 4, 0.1, step), 0.0)
    for time in np.linspace(h, motion.end, 50):
        before, state, after = motion.sample(time - h), motion.sample(time), motion.sample(time + h)
        np.testing.assert_allclose((after.position - before.position) / (2.0 * h), state.velocity, atol=2e-5)
        np.testing.assert_allclose((after.velocity - before.velocity) / (2.0 * h), state.acceleration, atol=0.1)


@settings(max_examples=40)
@given(seeds, st.integers(1, 8))
def test_meets_every_waypoint_at_its_time_when_no_limit_is_near(seed: int, count: int) -> None:
    motion = JointMotion(START, LIMITS)
    waypoints = row_waypoints(np.random.default_rng(seed), START, 10.0, count, 0.3, EASY)
    motion.follow(waypoints, 10.0)
    assert not motion.is_limited
    for waypoint in waypoints:
        np.testing.assert_allclose(motion.sample(waypoint.time).position, waypoint.joints, atol=1e-9)
    assert motion.end == pytest.approx(waypoints[-1].time)


@settings(max_examples=40)
@given(seeds, st.sampled_from([0.05, 0.5]), st.sampled_from([0.03, 0.2]))
def test_rests_at_the_last_waypoint_even_when_it_comes_late(seed: int, step: float, dt: float) -> None:
    motion = JointMotion(START, LIMITS)
    waypoints = row_waypoints(np.random.default_rng(seed), START, 0.0, 4, dt, step)
    motion.follow(waypoints, 0.0)
    assert motion.end >= waypoints[-1].time - 1e-9
    np.testing.assert_allclose(motion.target, waypoints[-1].joints, atol=1e-7)
    for later in (motion.end + 1e-6, motion.end + 5.0):
        state = motion.sample(later)
        np.testing.assert_array_equal(state.position, motion.target)
        assert not state.velocity.any() and not state.acceleration.any()


def test_passes_the_last_waypoint_with_the_velocity_of_the_last_interval_and_brakes_after_it() -> None:
    motion = JointMotion(np.zeros(6), LIMITS)
    waypoints = [Waypoint(0.3, np.full(6, 0.05)), Waypoint(0.6, np.full(6, 0.20))]
    motion.follow(waypoints, 0.0, stop_at_end=False)
    np.testing.assert_allclose(motion.sample(0.6).position, 0.20, atol=1e-9)
    np.testing.assert_allclose(motion.sample(0.6).velocity, 0.5, atol=1e-9)
    assert motion.end > 0.6
    assert (motion.target > 0.20).all()


@settings(max_examples=40)
@given(st.floats(0.01, 3.0))
def test_brakes_in_the_shortest_distance(speed: float) -> None:
    motion = JointMotion(np.zeros(6), LIMITS)
    speeding_up = [Waypoint(time, np.full(6, 0.25 * speed * time**2)) for time in (0.5, 1.0, 1.5, 2.0)]
    motion.follow([*speeding_up, Waypoint(2.5, np.full(6, 1.5 * speed))], 0.0, stop_at_end=False)
    state = motion.sample(2.5)
    np.testing.assert_allclose(state.velocity, speed, atol=1e-9)
    motion.brake(2.5)
    np.testing.assert_allclose(motion.target - state.position, shortest_stop(speed, 20.0, 600.0), atol=1e-6)


def shortest_stop(speed: float, acceleration: float, jerk: float) -> float:
    """Distance in which a joint without acceleration stops: half its speed, times the time it takes."""
    if speed >= acceleration**2 / jerk:
        return 0.5 * speed * (speed / acceleration + acceleration / jerk)
    return speed * math.sqrt(speed / jerk)


@settings(max_examples=30)
@given(seeds, st.sampled_from([0.1, 0.5]))
def test_means_the_same_at_any_time_of_day(seed: int, step: float) -> None:
    later = 1.8e9
    motions = []
    for origin in (0.0, later):
        motion = JointMotion(START, LIMITS)
        motion.follow(row_waypoints(np.random.default_rng(seed), START, origin, 4, 0.25, step), origin)
        motions.append(motion)
    assert motions[0].end == pytest.approx(motions[1].end - later, abs=1e-6)
    for time in np.arange(8) * 0.125:  # these are exact at both origins
        now, then = motions[0].sample(time), motions[1].sample(later + time)
        np.testing.assert_allclose(then.position, now.position, atol=1e-5)
        np.testing.assert_allclose(then.velocity, now.velocity, atol=1e-4)


def test_a_plan_for_later_leaves_the_present_one_in_place_until_then() -> None:
    motion = JointMotion(np.zeros(6), LIMITS)
    motion.follow([Waypoint(1.0, np.full(6, 0.3))], 0.0)
    before = motion.sample(0.4).position
    motion.follow([Waypoint(1.5, np.full(6, -0.3))], 0.5)
    np.testing.assert_array_equal(motion.sample(0.4).position, before)
    np.testing.assert_allclose(motion.sample(1.5).position, -0.3, atol=1e-9)


def test_a_waypoint_that_comes_too_soon_is_reached_late_but_as_soon_as_the_limits_allow() -> None:
    motion = JointMotion(np.zeros(6), LIMITS)
    motion.follow([Waypoint(0.1, np.full(6, 1.0))], 0.0)
    assert motion.is_limited
    np.testing.assert_allclose(motion.target, 1.0, atol=1e-7)
    fastest = np.pi / 20.0 + 20.0 / 600.0 + 1.0 / np.pi  # speed up, slow down, and the way at full speed
    assert motion.end <= fastest * 1.3


def test_passes_over_waypoints_that_are_not_after_the_start() -> None:
    motion = JointMotion(np.zeros(6), LIMITS)
    motion.follow([Waypoint(0.5, np.full(6, 9.0)), Waypoint(1.0, np.full(6, 9.0)), Waypoint(2.0, np.full(6, 0.1))], 1.0)
    np.testing.assert_allclose(motion.target, 0.1)
    assert motion.extremes(0.0, 3.0)[1].max() < 0.11


def test_brakes_when_every_waypoint_is_past() -> None:
    motion = JointMotion(np.zeros(6), LIMITS)
    motion.follow([Waypoint(1.0, np.full(6, 0.5))], 0.0)
    motion.follow([Waypoint(0.2, np.full(6, 0.5))], 0.5)
    assert 0.5 < motion.end < 1.0
    assert (motion.target < 0.5).all()


@settings(max_examples=30)
@given(seeds, st.sampled_from([0.1, 0.5]), st.floats(0.0, 0.5), st.floats(0.0, 1.5))
def test_no_position_lies_beyond_the_extremes(seed: int, step: float, start: float, length: float) -> None:
    motion = JointMotion(START, LIMITS)
    motion.follow(row_waypoints(np.random.default_rng(seed), START, 0.0, 4, 0.2, step), 0.0)
    lower, upper = motion.extremes(start, start + length)
    positions, velocities = motion.samples(np.linspace(start, start + length, 300))
    assert (lower <= positions).all() and (positions <= upper).all()
    assert (positions.min(axis=0) - lower < 1e-3).all() and (upper - positions.max(axis=0) < 1e-3).all()
    assert positions.shape == velocities.shape == (300, 6)


def test_a_joint_that_always_rested_has_extremes_too() -> None:
    lower, upper = JointMotion(START, LIMITS).extremes(5.0, 6.0)
    np.testing.assert_allclose(lower, START, atol=1e-3)
    np.testing.assert_allclose(upper, START, atol=1e-3)


def test_a_lower_speed_scale_slows_later_plans_but_never_jerks_the_arm() -> None:
    motion = JointMotion(np.zeros(6), LIMITS)
    motion.scale_limits(0.1)
    motion.follow([Waypoint(0.5, np.full(6, 0.5))], 0.0)
    _, velocities = motion.samples(np.linspace(0.0, 3.0, 600))
    assert np.abs(velocities).max() == pytest.approx(0.1 * np.pi, rel=0.1)
    assert np.abs(velocities).max() <= 0.1 * np.pi * (1.0 + 1e-6)
    np.testing.assert_allclose(motion.target, 0.5, atol=1e-7)


def test_starting_anew_commands_the_given_joints_at_once() -> None:
    motion = JointMotion(np.zeros(6), LIMITS)
    motion.follow([Waypoint(1.0, np.full(6, 0.5))], 0.0)
    motion.rest_at(START)
    state = motion.sample(0.5)
    np.testing.assert_array_equal(state.position, START)
    assert not state.velocity.any()
    assert motion.end == -math.inf


def test_only_the_plan_before_the_present_one_is_kept() -> None:
    motion = JointMotion(np.zeros(6), LIMITS)
    for index in range(200):
        motion.follow([Waypoint(index + 1.5, np.full(6, 0.001 * index))], index + 0.5)
    earlier, _ = motion.samples([0.5, 198.0])
    np.testing.assert_array_equal(earlier[0], motion.sample(197.0).position)


@pytest.mark.parametrize("times", [(1.0, 1.0), (2.0, 1.0)])
def test_waypoints_whose_times_do_not_increase_are_an_error(times: tuple[float, float]) -> None:
    motion = JointMotion(np.zeros(6), LIMITS)
    with pytest.raises(ActionError, match="increasing times"):
        motion.follow([Waypoint(time, np.zeros(6)) for time in times], 0.0)


@pytest.mark.parametrize(
    ("waypoint", "start"),
    [
        (Waypoint(1.0, np.array([0.0, np.nan, 0.0, 0.0, 0.0, 0.0])), 0.0),
        (Waypoint(math.inf, np.zeros(6)), 0.0),
        (Waypoint(1.0, np.zeros(6)), math.nan),
    ],
)
def test_numbers_that_are_not_finite_are_an_error_and_change_nothing(waypoint: Waypoint, start: float) -> None:
    motion = JointMotion(START, LIMITS)
    with pytest.raises(ActionError, match="finite"):
        motion.follow([waypoint], start)
    np.testing.assert_array_equal(motion.sample(2.0).position, START)


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="jerk limits must be positive"):
        MotionLimits(np.ones(2), np.ones(2), np.array([1.0, 0.0]))
    with pytest.raises(ConfigurationError, match="acceleration limits need one number"):
        MotionLimits(np.ones(2), np.ones(3), np.ones(2))
    with pytest.raises(ConfigurationError, match="speed scale"):
        JointMotion(np.zeros(6), LIMITS).scale_limits(0.0)


@settings(max_examples=25)
@given(seeds)
def test_any_waypoints_in_range_give_finite_commands(seed: int) -> None:
    rng, motion = np.random.default_rng(seed), JointMotion(START, LIMITS)
    for start in np.cumsum(rng.uniform(0.0, 0.3, 6)):
        times = np.unique(start + rng.choice([1e-7, 1e-4, 0.01, 0.5]) * rng.integers(1, 40, 8))
        motion.follow([Waypoint(float(time), rng.uniform(-np.pi, np.pi, 6)) for time in times], float(start))
        positions, _ = motion.samples(np.linspace(start, motion.end, 20))
        assert np.isfinite(positions).all()
        assert math.isfinite(motion.end)
