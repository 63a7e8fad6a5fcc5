"""When motion has to be planned again, and when it is left alone."""

from dataclasses import replace

import numpy as np
import pytest

from dvla_ros.control.action_space import Target
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.motion import Waypoint
from dvla_ros.control.plan import Plan, Row
from dvla_ros.control.planned_stretch import PlannedStretch

T0 = 1_700_000_000.0
TARGET = Target(np.zeros(6), np.eye(4), 1.0)


def row(index: int) -> Row:
    due = T0 + 0.2 * index
    path = (Waypoint(due + 0.2, TARGET.joints),)
    return Row(due, due + 0.2, np.zeros(7), ControlMode.EE_DELTA, (0, 0, index), TARGET.joints, path, TARGET)


ROWS = tuple(row(index) for index in range(8))


def test_nothing_planned_needs_motion_at_once() -> None:
    assert PlannedStretch().needs_more(ROWS[0])
    assert PlannedStretch().must_change(Plan(ROWS), 0, T0)


@pytest.mark.parametrize(("complete", "needed"), [(False, [False, False, True, True]), (True, [False] * 4)])
def test_motion_is_planned_again_when_a_quarter_is_over_and_rows_follow(complete: bool, needed: list[bool]) -> None:
    stretch = PlannedStretch(ROWS[:4], complete)
    assert [stretch.needs_more(each) for each in ROWS[:4]] == needed
    assert stretch.needs_more(ROWS[4])


def test_plan_that_repeats_the_rows_changes_nothing() -> None:
    assert PlannedStretch(ROWS[:4], complete=False).changes_at(Plan(ROWS[1:]), 0) == np.inf
    assert PlannedStretch(ROWS[:4], complete=True).changes_at(Plan(ROWS[:4]), 2) == np.inf


def test_first_other_row_is_where_motion_changes() -> None:
    other = (*ROWS[:3], replace(ROWS[3], key=(0, 1, 0)), *ROWS[4:])
    assert PlannedStretch(ROWS[:4], complete=False).changes_at(Plan(other), 1) == ROWS[3].due
    assert PlannedStretch(ROWS[:4], complete=False).changes_at(Plan(ROWS[4:]), 0) == ROWS[4].due


def test_motion_changes_at_the_end_when_rows_follow_or_do_not_any_more() -> None:
    assert PlannedStretch(ROWS[:4], complete=True).changes_at(Plan(ROWS), 0) == ROWS[3].end
    assert PlannedStretch(ROWS[:4], complete=False).changes_at(Plan(ROWS[:4]), 0) == ROWS[3].end
    assert PlannedStretch(ROWS[:4], complete=False).changes_at(Plan(ROWS[:2]), 0) == ROWS[1].end


def test_motion_is_left_alone_until_shortly_before_the_change() -> None:
    plan = Plan((*ROWS[:3], replace(ROWS[3], key=(0, 1, 0)), *ROWS[4:]))
    stretch = PlannedStretch(ROWS[:4], complete=False)
    assert not stretch.must_change(plan, 0, T0)
    assert not stretch.must_change(plan, 1, T0 + 0.34)
    assert stretch.must_change(plan, 1, T0 + 0.36)
    assert stretch.must_change(plan, 2, T0 + 0.4)


def test_long_rows_give_the_row_before_the_change_to_the_bend() -> None:
    slow = tuple(replace(each, due=T0 + index, end=T0 + index + 1.0) for index, each in enumerate(ROWS))
    plan = Plan((*slow[:2], replace(slow[2], key=(0, 1, 0))))
    stretch = PlannedStretch(slow[:3], complete=False)
    assert not stretch.must_change(plan, 0, slow[0].due)
    assert stretch.must_change(plan, 1, slow[1].due)
