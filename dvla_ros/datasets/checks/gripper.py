"""Gripper: 0 closed .. 1 open, in the actions and in the states."""

from collections.abc import Iterator

import numpy as np

from dvla_ros.datasets.checks.finding import Finding, error
from dvla_ros.datasets.gathered import GRIPPER, Gathered

_NEVER = 0.05
_METRES = 0.1
"""Below this a column that changes is a way of the fingers; a WidowX' go to 0.037 m."""
_FOLLOWS_WITHIN_S = 1.0
"""A gripper is where it was sent to after this time at most."""
_AGAINST = -0.4
_CLOSED_AT_START = 0.8


def check_gripper_range(gathered: Gathered) -> Iterator[Finding]:
    """Both columns lie in 0..1 and change."""
    for kind, rows in (("actions", gathered.actions), ("states", gathered.states)):
        low, high = float(rows[:, GRIPPER].min()), float(rows[:, GRIPPER].max())
        told = f"The gripper column of the {kind} spans {low:.4g}..{high:.4g}, not 0 (closed) .. 1 (open)"
        if high > 1.5:
            yield error("gripper", f"{told}: divide by {'255' if high > 100.5 else f'{high:.4g}'}.")
        elif low < -0.2:
            yield error("gripper", f"{told}: from -1..1, take (x + 1) / 2.")
        elif 1e-4 < high - low and high < _METRES:
            yield error("gripper", f"{told}: this is the way of the fingers in metres.")
        elif high - low < _NEVER:
            yield Finding("gripper", f"The gripper of the {kind} never moves: it is always about {high:.3g}.")


def check_gripper_direction(gathered: Gathered) -> Iterator[Finding]:
    """The measured gripper goes where the action sends it, and is open at the beginning."""
    lag = max(1, round(_FOLLOWS_WITHIN_S * gathered.fps))
    pairs = [
        np.stack([stretch.actions[:-lag, GRIPPER], stretch.states[lag:, GRIPPER]])
        for stretch in gathered.stretches
        if len(stretch.actions) > lag
    ]
    commanded, measured = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0))
    if commanded.size > 2 and min(np.ptp(commanded), np.ptp(measured)) > _NEVER:
        agreement = float(np.corrcoef(commanded, measured)[0, 1])
        if agreement < _AGAINST:
            yield error(
                "gripper",
                f"The measured gripper goes against the commanded one (correlation {agreement:.2f}): one of them has 1 "
                "for closed. Take 1 - x of it.",
            )
            return
    yield from _closed_at_start(gathered)


def _closed_at_start(gathered: Gathered) -> Iterator[Finding]:
    """Nearly all demonstrations begin with an open gripper and close it later."""
    moving = [s.actions[:, GRIPPER] for s in gathered.stretches if np.ptp(s.actions[:, GRIPPER]) > 0.5]
    closed = [bool(commands[0] < 0.25) for commands in moving]
    if closed and np.mean(closed) >= _CLOSED_AT_START:
        yield Finding(
            "gripper",
            f"{sum(closed)} of {len(closed)} trajectories in which the gripper moves begin with it closed: is 1 closed "
            "in these recordings? It must be open.",
        )
