"""The workspace box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.workspace import OPENVLA_BOX, TABLETOP_BOX, WorkspaceBox
from dvla_ros.errors import ConfigurationError


def test_clip_moves_each_coordinate_to_the_nearest_wall() -> None:
    np.testing.assert_array_equal(OPENVLA_BOX.clip(np.array([0.0, 0.5, 0.2])), [0.1, 0.25, 0.2])


def test_distance_is_zero_inside_and_euclidean_outside() -> None:
    assert TABLETOP_BOX.distance(np.array([0.3, 0.0, 0.2])) == 0.0
    assert TABLETOP_BOX.distance(np.array([0.53, 0.34, 0.2])) == pytest.approx(0.05)


def test_distances_of_many_points_are_those_of_each() -> None:
    points = np.array([[0.3, 0.0, 0.2], [0.53, 0.34, 0.2], [0.3, 0.0, -0.5]])
    np.testing.assert_allclose(TABLETOP_BOX.distances(points), [TABLETOP_BOX.distance(point) for point in points])


@given(st.lists(st.floats(-0.1, 0.6), min_size=3, max_size=3))
def test_box_contains_the_points_at_no_distance(point: list[float]) -> None:
    assert TABLETOP_BOX.contains(*point) is (TABLETOP_BOX.distance(np.array(point)) == 0.0)
    assert not TABLETOP_BOX.contains(float("nan"), 0.0, 0.2)


@pytest.mark.parametrize("lower", [(0.5, 0.0, 0.0), (float("nan"), 0.0, 0.0)])
def test_empty_box_is_refused_with_the_axis(lower: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigurationError, match="x needs lower < upper"):
        WorkspaceBox(lower, (0.5, 1.0, 1.0))
