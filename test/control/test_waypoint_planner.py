"""From waypoints to pieces: smooth where possible, rounded where necessary, late where unavoidable."""

import numpy as np
import pytest

from dvla_ros.control.motion_plan import JerkLimitedPiece, MotionPlan, PolynomialPiece
from dvla_ros.control.waypoint_planner import PlannedPieces, Route, WaypointPlanner

LIMITS = np.array([[np.pi], [20.0], [600.0]]) * np.ones(2)
REST = np.zeros((3, 2))


def planned(times: list[float], first: list[float], *, stops: bool = True, state: np.ndarray = REST) -> PlannedPieces:
    """Plan a way of the first joint; the second one stays."""
    positions = np.zeros((len(times), 2))
    positions[:, 0] = first
    pieces = WaypointPlanner(2).along(Route(np.array(times), positions, state, stops), LIMITS)
    assert pieces is not None
    return pieces


def plan(pieces: PlannedPieces) -> MotionPlan:
    return MotionPlan(0.0, tuple(pieces.pieces), pieces.state[0])


def jerks(pieces: PlannedPieces, hz: int = 500) -> np.ndarray:
    motion = plan(pieces)
    positions = np.array([motion.state(time)[0, 0] for time in np.arange(0.0, motion.end, 1.0 / hz)])
    return np.asarray(np.diff(positions, 3) * hz**3)


def test_easy_waypoints_are_met_by_polynomials() -> None:
    pieces = planned([0.0, 0.2, 0.4], [0.0, 0.05, 0.1])
    assert not pieces.is_limited
    assert all(isinstance(piece, PolynomialPiece) for piece in pieces.pieces)
    assert plan(pieces).end == pytest.approx(0.4)


def test_corners_of_a_path_are_rounded_where_they_ask_for_too_much() -> None:
    times = [0.05 * index for index in range(9)]
    corner = [0.0, 0.04, 0.08, 0.12, 0.16, 0.12, 0.08, 0.04, 0.0]  # 0.8 rad/s there and back
    moving = np.array([[0.0, 0.0], [0.8, 0.0], [0.0, 0.0]])
    pieces = planned(times, corner, stops=False, state=moving)
    assert pieces.is_limited
    assert all(isinstance(piece, PolynomialPiece) for piece in pieces.pieces)
    positions = [plan(pieces).state(time)[0, 0] for time in times]
    np.testing.assert_allclose(positions, corner, atol=0.025)
    assert np.sqrt(np.mean(jerks(pieces) ** 2)) < 150.0


def test_a_state_too_fast_for_the_waypoints_leads_to_the_fastest_motion() -> None:
    pieces = planned([0.0, 0.02, 0.04], [0.0, 0.0, 0.0], state=np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 0.0]]))
    assert pieces.is_limited
    assert any(isinstance(piece, JerkLimitedPiece) for piece in pieces.pieces)
    assert np.abs(jerks(pieces)).max() <= 600.0 * (1.0 + 1e-6)
    np.testing.assert_allclose(pieces.state, 0.0, atol=1e-9)


def test_after_a_late_waypoint_later_ones_are_met_in_time_again() -> None:
    pieces = planned([0.0, 0.05, 1.0, 1.5], [0.0, 0.3, 0.4, 0.2])
    assert pieces.is_limited
    assert plan(pieces).end <= 1.5 + 3.0 * 0.15 + 1e-9
    np.testing.assert_allclose(pieces.state[0], [0.2, 0.0], atol=1e-9)


def test_ends_with_the_velocity_of_the_last_interval_when_it_is_not_to_stop() -> None:
    pieces = planned([0.0, 0.3, 0.6], [0.0, 0.05, 0.20], stops=False)
    np.testing.assert_allclose(pieces.state[1], [0.5, 0.0])


def test_a_joint_never_steps_back_to_gain_the_velocity_asked_for() -> None:
    route = Route(np.array([0.0, 0.004, 0.3]), np.array([[0.0, 0.0], [0.01, 0.0], [0.9, 0.0]]), REST, stops=True)
    pieces = WaypointPlanner(2)._fastest(route, LIMITS)
    assert pieces is not None
    motion = plan(pieces)
    assert min(motion.state(time)[0, 0] for time in np.arange(0.0, motion.end, 0.002)) >= -1e-9


def test_brakes_from_any_state() -> None:
    piece = WaypointPlanner(2).brake(np.array([[0.5, 0.0], [2.0, -1.0], [10.0, 0.0]]), LIMITS)
    assert piece is not None
    np.testing.assert_allclose(piece.state(piece.length)[1:], 0.0, atol=1e-6)
