"""Planned motions: pieces in turn, rest at the end, what came before until the beginning."""

import numpy as np

from dvla_ros.control.motion_plan import MotionPlan, PolynomialPiece

ORIGIN = 1.8e9


def line(start: float, speed: float, length: float) -> PolynomialPiece:
    """A joint that moves at constant speed."""
    coefficients = np.zeros((6, 1))
    coefficients[:2, 0] = [start, speed * length]
    return PolynomialPiece(length, coefficients)


def bend() -> PolynomialPiece:
    """A joint at u + u² + u³ + u⁴ + u⁵, where u is half the time that is over."""
    coefficients = np.ones((6, 1))
    coefficients[0] = 0.0
    return PolynomialPiece(2.0, coefficients)


def test_a_polynomial_gives_its_derivatives_in_seconds() -> None:
    state = bend().state(1.0)[:, 0]
    u = 0.5
    position = u + u**2 + u**3 + u**4 + u**5
    velocity = (1 + 2 * u + 3 * u**2 + 4 * u**3 + 5 * u**4) / 2.0
    acceleration = (2 + 6 * u + 12 * u**2 + 20 * u**3) / 4.0
    np.testing.assert_allclose(state, [position, velocity, acceleration])


def test_pieces_follow_each_other_and_then_the_joints_rest() -> None:
    plan = MotionPlan(ORIGIN, (line(0.0, 1.0, 0.5), line(0.5, 2.0, 0.25)), np.array([1.0]))
    positions = [plan.state(ORIGIN + elapsed)[0, 0] for elapsed in (0.0, 0.25, 0.5, 0.625, 0.75, 9.0)]
    np.testing.assert_allclose(positions, [0.0, 0.25, 0.5, 0.75, 1.0, 1.0])
    np.testing.assert_array_equal(plan.state(ORIGIN + 0.75)[1:], 0.0)
    assert plan.end == ORIGIN + 0.75


def test_before_its_beginning_the_plan_before_holds() -> None:
    first = MotionPlan(ORIGIN, (line(0.0, 1.0, 1.0),), np.array([1.0]))
    second = MotionPlan(ORIGIN + 0.5, (line(0.5, -1.0, 0.5),), np.array([0.0]), before=first)
    np.testing.assert_allclose(second.state(ORIGIN + 0.25)[0], 0.25)
    np.testing.assert_allclose(second.state(ORIGIN + 0.75)[0], 0.25)
    np.testing.assert_allclose(first.state(ORIGIN - 1.0)[0], 0.0)


def test_the_active_plan_keeps_nothing_of_what_came_before() -> None:
    first = MotionPlan(ORIGIN, (line(0.0, 1.0, 1.0),), np.array([1.0]))
    second = MotionPlan(ORIGIN + 0.5, (line(0.5, -1.0, 0.5),), np.array([0.0]), before=first)
    assert second.active_at(ORIGIN + 0.25) is first
    active = second.active_at(ORIGIN + 0.5)
    assert active.before is None
    np.testing.assert_array_equal(active.target, second.target)
