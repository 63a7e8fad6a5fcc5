"""What the controller counts."""

import pytest

from dvla_ros.control.statistics import ControllerStatistics, SeamStatistics


def test_seams_have_a_largest_and_a_mean() -> None:
    seams = SeamStatistics()
    assert (seams.mean_position, seams.mean_velocity) == (0.0, 0.0)
    seams.add(0.01, 0.3)
    seams.add(0.03, 0.1)
    assert (seams.count, seams.max_position, seams.max_velocity) == (2, 0.03, 0.3)
    assert (seams.mean_position, seams.mean_velocity) == (pytest.approx(0.02), pytest.approx(0.2))


def test_held_ticks_are_those_of_all_reasons() -> None:
    statistics = ControllerStatistics()
    statistics.held.update(requested=3, no_measurement=2)
    assert statistics.held_ticks == 5
