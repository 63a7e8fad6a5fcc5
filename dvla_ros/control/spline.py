"""Minimum-jerk splines: polynomials of degree five through or near joint waypoints, joined without any jump."""

from dataclasses import dataclass
from math import comb

import numpy as np

_DEGREE = 5
_PARTS = 4
"""Parts into which a piece is cut when its extremes are bounded; the bounds are the closer the more there are."""

_ENDS_TO_COEFFICIENTS = np.array(
    [
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.5, 0.0, 0.0, 0.0],
        [-10.0, -6.0, -1.5, 10.0, -4.0, 0.5],
        [15.0, 8.0, 1.5, -15.0, 7.0, -1.0],
        [-6.0, -3.0, -0.5, 6.0, -3.0, 0.5],
    ]
)
"""Quintic Hermite: from position, velocity, acceleration at both ends of a piece of length 1 to its coefficients."""

_JERK_SQUARED = np.array([[36.0, 72.0, 120.0], [72.0, 192.0, 360.0], [120.0, 360.0, 720.0]])
_COST = _ENDS_TO_COEFFICIENTS[3:].T @ _JERK_SQUARED @ _ENDS_TO_COEFFICIENTS[3:]
"""The integral of the squared jerk over a piece of length 1, as a quadratic form of its ends."""


@dataclass(frozen=True)
class Knots:
    """Where J joints are at n + 1 times, how fast they move there, and how fast they accelerate.

    Attributes:
        times: `[n + 1]` seconds, strictly increasing.
        states: `[n + 1, 3, J]`: position (rad), velocity (rad/s), acceleration (rad/s²).
    """

    times: np.ndarray
    states: np.ndarray


def minimum_jerk_knots(times: np.ndarray, states: np.ndarray, smoothing_s: float = 0.0) -> Knots:
    """The knots of the smoothest motion through waypoints, or near them.

    Minimises the integral of `jerk² + distance² / smoothing_s⁶`, where the distance is that to the waypoints. Without
    smoothing it is the quintic spline through them, whose first four derivatives never jump. With it, what the
    waypoints ask for within less than about `6 smoothing_s` is evened out. The first and the last state are kept.
    (Reinsch, "Smoothing by spline functions", 1967, with the jerk in the place of the second derivative.)

    Args:
        times: `[n + 1]` seconds, strictly increasing.
        states: `[n + 1, 3, J]`; of the inner ones only the positions count.
        smoothing_s: Seconds.
    """
    cost = _jerk_cost(times)
    wanted = states.reshape(len(cost), -1)
    pull = np.zeros_like(wanted)
    free = np.zeros(states.shape[:2], bool)
    free[1:-1, 1:] = True
    if smoothing_s > 0.0:
        free[1:-1, 0] = True
        rows = np.arange(3, len(cost) - 3, 3)
        weights = 0.5 * (times[2:] - times[:-2]) / smoothing_s**6
        cost[rows, rows] += weights
        pull[rows] = weights[:, None] * wanted[rows]
    found, free = wanted.copy(), free.ravel()
    if free.any():
        right = pull[free] - cost[np.ix_(free, ~free)] @ wanted[~free]
        found[free] = _solved(cost[np.ix_(free, free)], right)
    return Knots(times, found.reshape(states.shape))


def coefficients(knots: Knots) -> np.ndarray:
    """The pieces between the knots as polynomials of `u`, the part of a piece that is over, 0..1.

    Returns:
        `[n, 6, J]`: piece i is at `sum over k of c[i, k] u**k`.
    """
    lengths = np.diff(knots.times)
    scale = np.stack([np.ones_like(lengths), lengths, lengths**2], axis=1)[:, :, None]
    ends = np.concatenate([knots.states[:-1] * scale, knots.states[1:] * scale], axis=1)
    return np.asarray(_ENDS_TO_COEFFICIENTS @ ends)


def exceeding_pieces(knots: Knots, pieces: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Which pieces may leave the limits somewhere: never misses one, but may name one that just keeps them.

    The Bernstein coefficients of a polynomial enclose its values; they are taken over each quarter of a piece.

    Args:
        knots: Their times give the lengths of the pieces.
        pieces: `[n, 6, J]`, see `coefficients`.
        limits: `[3, J]` largest velocity (rad/s), acceleration (rad/s²) and jerk (rad/s³).

    Returns:
        bool `[n]`.
    """
    lengths = np.diff(knots.times)[:, None]
    exceeded = np.zeros(len(lengths), bool)
    for order, limit in enumerate(limits, start=1):
        highest = np.abs(_ENCLOSURES[order - 1] @ pieces).max(axis=1)
        exceeded |= (highest > limit * (1.0 + 1e-9) * lengths**order).any(axis=1)
    return exceeded


def _jerk_cost(times: np.ndarray) -> np.ndarray:
    """The integral of the squared jerk as a quadratic form `[3 (n + 1), 3 (n + 1)]` of the states at the knots."""
    lengths = np.diff(times)
    scale = np.tile(np.stack([np.ones_like(lengths), lengths, lengths**2], axis=1), 2)
    pieces = _COST * scale[:, :, None] * scale[:, None, :] / lengths[:, None, None] ** 5
    cost = np.zeros((3 * len(times), 3 * len(times)))
    for index, piece in enumerate(pieces):
        cost[3 * index : 3 * index + 6, 3 * index : 3 * index + 6] += piece
    return cost


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a positive definite system whose rows have very different units: its diagonal is made 1 first."""
    unit = 1.0 / np.sqrt(np.diagonal(matrix))
    return np.asarray(unit[:, None] * np.linalg.solve(matrix * unit * unit[:, None], right * unit[:, None]))


def _enclosure(order: int) -> np.ndarray:
    """Matrix `[parts * (degree + 1), 6]` from coefficients to the Bernstein coefficients of a derivative."""
    degree = _DEGREE - order
    derivative = np.zeros((degree + 1, _DEGREE + 1))
    for power in range(degree + 1):
        derivative[power, power + order] = np.prod(np.arange(power + 1, power + order + 1))
    to_bernstein = np.array(
        [[comb(i, j) / comb(degree, j) if j <= i else 0.0 for j in range(degree + 1)] for i in range(degree + 1)]
    )
    return np.concatenate([to_bernstein @ _part(part, degree) @ derivative for part in range(_PARTS)])


def _part(part: int, degree: int) -> np.ndarray:
    """Matrix from coefficients in `u` to those in `w`, where `u = (part + w) / parts` with w in 0..1."""
    matrix = np.zeros((degree + 1, degree + 1))
    for power in range(degree + 1):
        for k in range(power + 1):
            matrix[k, power] = comb(power, k) * part ** (power - k) / _PARTS**power
    return matrix


_ENCLOSURES = tuple(_enclosure(order) for order in (1, 2, 3))
