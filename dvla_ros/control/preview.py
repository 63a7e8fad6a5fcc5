"""The commands that are planned for the time ahead."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.plan import Row


@dataclass(frozen=True)
class JointPreview:
    """Where the joints will be at n times, in order.

    Attributes:
        times: `[n]` seconds.
        positions: `[n, 6]` rad.
        velocities: `[n, 6]` rad/s.
        grippers: `[n]` openings, 0 closed .. 1 open.
        version: Changes whenever the plan changed.
    """

    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    grippers: np.ndarray
    version: int


def preview_of_rows(rows: Sequence[Row], version: int) -> JointPreview:
    """Where rows that are not executed yet begin, and their waypoints; the velocities are those of the way to each."""
    times, positions, velocities, grippers = [], [], [], []
    for row in rows[:1]:
        times.append(row.due)
        positions.append(row.start)
        velocities.append(np.zeros_like(row.start))
        grippers.append(row.target.gripper)
    for row in rows:
        before, joints = row.due, row.start
        for waypoint in row.path:
            times.append(waypoint.time)
            positions.append(waypoint.joints)
            velocities.append((waypoint.joints - joints) / (waypoint.time - before))
            grippers.append(row.target.gripper)
            before, joints = waypoint.time, waypoint.joints
    shape = (len(times), 6)
    return JointPreview(
        np.array(times),
        np.array(positions).reshape(shape),
        np.array(velocities).reshape(shape),
        np.array(grippers),
        version,
    )
