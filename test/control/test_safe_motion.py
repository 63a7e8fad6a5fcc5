"""Motion that was looked at before it begins."""

import numpy as np

from dvla_ros.control.kinematics import forward
from dvla_ros.control.motion import Waypoint
from dvla_ros.control.safe_motion import SafeMotion
from dvla_ros.control.safety import SafetyConfig

START = np.array([0.1, -0.3, 0.6, 0.05, 1.2, 0.0])
TURN = np.array([0.3, 0.0, 0.0, 0.0, 0.0, 0.0])


def box_up_to(y: float) -> SafetyConfig:
    return SafetyConfig(workspace_lower=(0.1, -0.3, -0.01), workspace_upper=(0.5, y, 0.4))


def test_motion_inside_is_followed_and_has_a_new_version() -> None:
    motion = SafeMotion(START, SafetyConfig())
    before = motion.version
    assert motion.follow([Waypoint(0.5, START + TURN)], 0.0).accepted
    assert motion.version != before
    np.testing.assert_allclose(motion.sample(1.0).position, START + TURN)
    np.testing.assert_allclose(motion.target, START + TURN)


def test_motion_that_would_lead_outside_is_refused_and_the_one_before_goes_on() -> None:
    motion = SafeMotion(START, box_up_to(float(forward(START + 0.5 * TURN)[1, 3])))
    assert motion.follow([Waypoint(0.4, START + 0.4 * TURN)], 0.0).accepted
    version, goal = motion.version, motion.target
    verdict = motion.follow([Waypoint(0.4, START + 0.4 * TURN), Waypoint(0.8, START + TURN)], 0.1)
    assert verdict.reason == "workspace"
    assert motion.version == version
    np.testing.assert_array_equal(motion.sample(2.0).position, goal)


def test_overshoot_is_seen_though_all_waypoints_are_inside() -> None:
    wall = float(forward(START + TURN)[1, 3])
    ways = (1 / 3, 2 / 3, 1.0, 1.0, 1.0)
    waypoints = [Waypoint(0.2 * index, START + way * TURN) for index, way in enumerate(ways, start=1)]
    unbounded = SafeMotion(START, SafetyConfig())
    assert unbounded.follow(waypoints, 0.0).accepted
    reached = max(forward(unbounded.sample(time).position)[1, 3] for time in np.linspace(0.0, 1.2, 121))
    assert reached > wall + 0.002, "this motion overshoots"
    assert not SafeMotion(START, box_up_to(wall)).follow(waypoints, 0.0).accepted


def test_brake_comes_to_rest_at_once() -> None:
    motion = SafeMotion(START, SafetyConfig())
    motion.follow([Waypoint(0.5, START + TURN)], 0.0)
    assert motion.brake(0.25).accepted
    assert 0.25 < motion.end < 0.4
    assert motion.sample(0.5).position[0] < START[0] + 0.7 * TURN[0]


def test_slower_motion_arrives_later() -> None:
    motion = SafeMotion(START, SafetyConfig())
    motion.scale_speed(0.2)
    motion.follow([Waypoint(0.3, START + TURN)], 0.0)
    assert motion.is_limited
    assert motion.end > 0.45
    assert max(motion.sample(time).velocity[0] for time in np.linspace(0.0, 1.0, 101)) <= 0.2 * np.pi + 1e-9


def test_rest_is_commanded_at_once() -> None:
    motion = SafeMotion(START, SafetyConfig())
    motion.follow([Waypoint(0.5, START + TURN)], 0.0)
    motion.rest_at(START)
    np.testing.assert_array_equal(motion.sample(0.3).position, START)
    assert not motion.samples(np.array([0.1, 0.4]))[1].any()
