"""Columns: their number, numbers that are none, columns that never change, and single values far from all others."""

from collections.abc import Iterator

import numpy as np

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.datasets.checks.finding import Finding, error
from dvla_ros.datasets.gathered import GRIPPER, Gathered
from dvla_ros.datasets.trajectory import STATE_NAMES

_NEVER = 1e-6
_FAR = 3.0
"""An extreme further than this many widths of q01..q99 beyond it squeezes nothing here, but says of a bad sample."""


def check_dimension(gathered: Gathered) -> Iterator[Finding]:
    """States and actions have Bridge's seven columns."""
    for name, rows, names in (("states", gathered.states, STATE_NAMES), ("actions", gathered.actions, ACTION_NAMES)):
        if rows.shape[1] != len(names):
            yield error(
                "dimension",
                f"The {name} have {rows.shape[1]} columns, not the {len(names)} of Bridge ({', '.join(names)}): "
                "convert them first.",
            )


def check_finite(gathered: Gathered) -> Iterator[Finding]:
    """Every number is one."""
    for name, rows in (("states", gathered.states), ("actions", gathered.actions)):
        bad = ~np.isfinite(rows)
        if bad.any():
            columns = ", ".join(str(column) for column in np.flatnonzero(bad.any(axis=0)))
            yield error(
                "finite",
                f"{int(bad.any(axis=1).sum())} of {len(rows)} {name} hold values that are no finite number, in columns "
                f"{columns}: leave those frames out.",
            )


def check_constant(gathered: Gathered) -> Iterator[Finding]:
    """A column that never changes cannot be learned, and normalising divides by its width."""
    for kind, rows, names in (("state", gathered.states, STATE_NAMES), ("action", gathered.actions, ACTION_NAMES)):
        for column in np.flatnonzero(np.ptp(rows, axis=0) < _NEVER):
            if column != GRIPPER:  # which has a check of its own
                yield Finding("constant", f"The {kind} column {names[column]} is always {rows[0, column]:.4g}.")


def check_outliers(gathered: Gathered) -> Iterator[Finding]:
    """No value lies far outside of what 98 % of all values span."""
    for kind, rows, names in (("state", gathered.states, STATE_NAMES), ("action", gathered.actions, ACTION_NAMES)):
        low, high = np.quantile(rows, [0.01, 0.99], axis=0)
        width = np.maximum(high - low, _NEVER)
        beyond = np.maximum(rows - high, low - rows) / width
        for column in np.flatnonzero(beyond.max(axis=0) > _FAR):
            if column == GRIPPER:
                continue
            worst = int(beyond[:, column].argmax())
            yield Finding(
                "outliers",
                f"The {kind} column {names[column]} goes to {rows[worst, column]:.4g} (frame {worst}), while 98 % lie "
                f"in {low[column]:.4g}..{high[column]:.4g}: look at that frame, it is likely a bad sample.",
            )


def coverage(gathered: Gathered) -> np.ndarray:
    """Share of the actions inside q01..q99 in every column at once, of which 1 is all; what clipping leaves alone."""
    low, high = np.quantile(gathered.actions, [0.01, 0.99], axis=0)
    inside = ((gathered.actions >= low) & (gathered.actions <= high)).mean(axis=0)
    return np.asarray(inside, np.float64)
