"""The checks of the safety gate, each a pure function of numbers."""

import numpy as np

from dvla_ros.control.verdict import ACCEPTED, Verdict, rejected

_ROUNDING = 1e-6
"""Slack of every comparison, for float32 actions on an exact limit."""


def check_finite(values: np.ndarray) -> Verdict:
    """No NaN and no infinity in an array of any shape."""
    if np.isfinite(values).all():
        return ACCEPTED
    where = np.argwhere(~np.isfinite(values))[0].tolist()
    return rejected("not_finite", f"Value {values[tuple(where)]} at {where}.")


def check_width(actions: np.ndarray, width: int) -> Verdict:
    """Rows `[H, D]` of exactly `width` numbers."""
    if actions.shape[1] == width:
        return ACCEPTED
    return rejected("width", f"Rows of {actions.shape[1]} numbers for an arm that takes {width}.")


def check_range(values: np.ndarray, lower: np.ndarray, upper: np.ndarray, reason: str, unit: str) -> Verdict:
    """All rows of `values` `[H, D]` within `lower` and `upper`, each `[D]` or a scalar; NaN is not."""
    outside = ~((values >= lower - _ROUNDING) & (values <= upper + _ROUNDING))
    if not outside.any():
        return ACCEPTED
    row, column = np.argwhere(outside)[0].tolist()
    low, high = np.broadcast_to(lower, values.shape)[row, column], np.broadcast_to(upper, values.shape)[row, column]
    value = values[row, column]
    return rejected(reason, f"{value:.4f} {unit} in row {row}, column {column} is outside {low:.4f}..{high:.4f}.")


def check_magnitude(values: np.ndarray, limit: np.ndarray | float, reason: str, unit: str) -> Verdict:
    """All rows of `values` `[H, D]` within ± `limit`, `[D]` or a scalar."""
    bound = np.asarray(limit, np.float64)
    return check_range(values, -bound, bound, reason, unit)
