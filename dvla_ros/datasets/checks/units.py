"""Units: degrees for radians, millimetres for metres, and increments of another length than Bridge's."""

from collections.abc import Iterator

import numpy as np

from dvla_ros.control.bridge import ACTION_NAMES, ACTION_UPPER
from dvla_ros.datasets.checks.finding import Finding, error
from dvla_ros.datasets.gathered import Gathered

_REACH_M = 3.0
"""No state of the arm is further away; a WidowX reaches 0.75 m."""
_TURN_RAD = 2.0 * np.pi + 0.1
_STEP_M, _STEP_RAD = 1.0, np.pi
"""No single action goes so far: it would be more than a metre, or half a turn, in a fraction of a second."""
_TINY_M = 0.002
"""If 99 % of all actions move less than this along each axis, nothing was done, or they are no increments in metres."""
_CLIPPED = 0.05


def check_lengths(gathered: Gathered) -> Iterator[Finding]:
    """Positions are metres."""
    far, step = np.abs(gathered.states[:, :3]).max(), np.abs(gathered.actions[:, :3]).max()
    if far > _REACH_M:
        yield error("units", f"Positions go to {far:.4g}: these are no metres. Millimetres? Divide by 1000.")
    if step > _STEP_M:
        yield error("units", f"Increments of position go to {step:.4g} m: millimetres? Or poses, not increments?")


def check_angles(gathered: Gathered) -> Iterator[Finding]:
    """Angles are radians."""
    turned, turn = np.abs(gathered.states[:, 3:6]).max(), np.abs(gathered.actions[:, 3:6]).max()
    if turned > _TURN_RAD:
        yield error("units", f"Angles go to {turned:.4g}: these are no radians. Degrees? Multiply by pi/180.")
    if turn > _STEP_RAD:
        yield error("units", f"Increments of angle go to {turn:.4g} rad: degrees? Or an angle that jumps by a turn?")


def check_scale(gathered: Gathered) -> Iterator[Finding]:
    """Actions are of the size of Bridge's, to whose limits a controller clips them."""
    sizes = np.abs(gathered.actions[:, :6])
    clipped = (sizes > ACTION_UPPER[:6] + 1e-6).mean(axis=0)
    for column in np.flatnonzero(clipped > _CLIPPED):
        yield Finding(
            "scale",
            f"{clipped[column]:.0%} of the actions go beyond Bridge's ±{ACTION_UPPER[column]} in "
            f"{ACTION_NAMES[column]} (up to {sizes[:, column].max():.3g}) and would be clipped: are {gathered.fps:g} "
            "frames a second too few for how fast the arm moved?",
        )
    usual = np.quantile(sizes[:, :3], 0.99, axis=0).max()
    if usual < _TINY_M:
        yield Finding(
            "scale",
            f"99 % of the actions move less than {1000 * usual:.2g} mm along each axis: nothing was done, or the "
            "increments are not in metres, or the source of the actions is not what moved the arm.",
        )
