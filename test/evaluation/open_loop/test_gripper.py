"""Openings and closings are matched in time."""

import numpy as np

from dvla_ros.evaluation.open_loop.gripper import changes, match_changes
from dvla_ros.evaluation.open_loop.joined import Joined


def episode(values):
    column = np.array(values, float)[:, None]
    times = 0.2 * np.arange(len(values))
    return Joined(times, column, column, np.zeros(len(values), int), (0,), ())


def test_changes_are_found_where_the_side_changes_and_not_where_it_trembles():
    found = changes(episode([1.0, 1.0, 0.0, 0.45, 0.55, 0.3, 1.0, 0.5, 1.0]), 0, True)
    assert [(round(time, 3), kind) for time, kind in found] == [(0.4, -1), (1.2, 1)]


def test_what_was_not_recorded_is_no_change():
    assert changes(episode([1.0, np.nan, np.nan, 1.0]), 0, True) == []


def test_the_nearest_changes_of_a_kind_are_paired_once():
    recorded = [(1.0, 1), (2.0, -1), (9.0, 1)]
    predicted = [(0.7, 1), (1.2, 1), (2.3, -1), (5.0, -1)]
    pairs, missed, surplus = match_changes(recorded, predicted)
    assert sorted((round(delay, 6), kind) for delay, kind in pairs) == [(0.2, 1), (0.3, -1)]
    assert (missed, surplus) == (1, 2)
