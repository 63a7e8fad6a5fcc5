"""Commands ahead, from rows that are not executed yet."""

import numpy as np

from dvla_ros.control.action_space import Target
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.motion import Waypoint
from dvla_ros.control.plan import Row
from dvla_ros.control.preview import preview_of_rows


def test_preview_begins_where_the_first_row_does_and_has_every_waypoint_with_the_velocity_of_the_way_to_it() -> None:
    a, b, c = np.zeros(6), np.full(6, 0.1), np.full(6, 0.3)
    rows = (
        Row(
            1.0, 1.2, np.zeros(7), ControlMode.EE_POSE, (0, 0, 0), a, (Waypoint(1.1, b), Waypoint(1.2, c)), _at(c, 0.2)
        ),
        Row(1.2, 1.4, np.zeros(7), ControlMode.EE_POSE, (0, 0, 1), c, (Waypoint(1.4, a),), _at(a, 0.7)),
    )
    preview = preview_of_rows(rows, 5)
    np.testing.assert_allclose(preview.times, [1.0, 1.1, 1.2, 1.4])
    np.testing.assert_allclose(preview.positions[:, 3], [0.0, 0.1, 0.3, 0.0])
    np.testing.assert_allclose(preview.velocities[:, 3], [0.0, 1.0, 2.0, -1.5])
    np.testing.assert_allclose(preview.grippers, [0.2, 0.2, 0.2, 0.7])
    assert preview.version == 5


def test_preview_of_nothing_is_empty() -> None:
    preview = preview_of_rows((), 0)
    assert (preview.times.shape, preview.positions.shape, preview.grippers.shape) == ((0,), (0, 6), (0,))


def _at(joints: np.ndarray, gripper: float) -> Target:
    return Target(joints, np.eye(4), gripper)
