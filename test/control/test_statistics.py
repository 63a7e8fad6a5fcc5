"""What the controller counts."""

from dvla_ros.control.statistics import ControllerStatistics, SeamStatistics


def test_the_worst_seam_is_kept() -> None:
    seams = SeamStatistics()
    seams.add(0.01, 0.3)
    seams.add(0.03, 0.1)
    assert (seams.count, seams.max_position, seams.max_velocity) == (2, 0.03, 0.3)


def test_held_ticks_are_those_of_all_reasons() -> None:
    statistics = ControllerStatistics()
    statistics.held.update(requested=3, no_measurement=2)
    assert statistics.held_ticks == 5
