"""How far a new chunk is from what is being executed, at the moment it takes over."""

import numpy as np

from dvla_ros.control.kinematics import positions_of
from dvla_ros.control.plan import Row


def measure_seam(before: Row, after: Row, offset: np.ndarray | None) -> tuple[float, float]:
    """Jump in position and in mean velocity of the end effector between two rows.

    Args:
        before: The last row of the old plan.
        after: The first row of the new chunk.
        offset: What the alignment takes away, see `alignment.seam_offset`; None for increments.

    Returns:
        Metres and m/s.
    """
    joints = [before.start, before.target.joints, after.start, after.target.joints]
    if offset is not None and offset.shape == (6,):
        joints.append(after.start - offset)
    points = positions_of(np.stack(joints))
    velocity_before = (points[1] - points[0]) / (before.end - before.due)
    velocity_after = (points[3] - points[2]) / (after.end - after.due)
    position = 0.0
    if offset is not None:
        jump = offset[:3, 3] if offset.shape == (4, 4) else points[4] - points[2]
        position = float(np.linalg.norm(jump))
    return position, float(np.linalg.norm(velocity_after - velocity_before))
