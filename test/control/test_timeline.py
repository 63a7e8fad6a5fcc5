"""The timeline: merged by due time, never by arrival."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.action_space import Target
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.motion import Waypoint
from dvla_ros.control.plan import Row, RowRequest
from dvla_ros.control.timeline import ChunkTimeline, Merge, SameAction, executed_rows, first_row

T0 = 1_700_000_000.0
JOINTS = np.zeros(6)


def chunk(
    stamp: float,
    sequence: int,
    horizon: int = 8,
    value: float = 0.0,
    epoch: int = 0,
    execute_steps: int = 0,
    execute_reserve: bool = False,
    frozen_steps: int = 0,
) -> ActionChunk:
    actions = np.full((horizon, 7), value, np.float32)
    return ActionChunk(
        T0 + stamp,
        0.2,
        actions,
        ControlMode.EE_DELTA,
        ACTION_NAMES,
        sequence,
        epoch,
        execute_steps=execute_steps,
        execute_reserve=execute_reserve,
        frozen_steps=frozen_steps,
    )


def planned(request: RowRequest) -> Row:
    target = Target(JOINTS, np.eye(4), 1.0)
    path = (Waypoint(request.end, JOINTS),)
    return Row(request.due, request.end, request.action, request.mode, request.key, JOINTS, path, target)


def take(timeline: ChunkTimeline, new: ActionChunk, now: float, generation: int = 0) -> Merge:
    """What `ChunkAcceptance` does, without kinematics."""
    assert timeline.check(new, now).accepted
    merge = timeline.merge(new, now, generation)
    rows = tuple(planned(request) for request in (*merge.new, *merge.behind))
    assert timeline.commit(new, (*merge.kept, *rows), generation)
    return merge


def keys(timeline: ChunkTimeline) -> list[tuple[int, int]]:
    return [row.key[1:] for row in timeline.plan.rows]


def test_past_rows_are_dropped_and_one_that_is_mostly_over_with_them() -> None:
    early, late = ChunkTimeline(), ChunkTimeline()
    take(early, chunk(0.0, 0), T0 + 0.49)
    take(late, chunk(0.0, 0), T0 + 0.51)
    assert keys(early) == [(0, index) for index in range(2, 8)]
    assert keys(late) == [(0, index) for index in range(3, 8)]


def test_new_chunk_covers_old_rows_from_its_stamp_on() -> None:
    timeline = ChunkTimeline()
    take(timeline, chunk(0.0, 0), T0)
    take(timeline, chunk(0.8, 1), T0 + 0.3)
    assert keys(timeline) == [(0, index) for index in range(4)] + [(1, index) for index in range(8)]


def test_of_the_rows_that_are_over_the_last_is_kept_for_its_target() -> None:
    timeline = ChunkTimeline()
    take(timeline, chunk(0.0, 0), T0)
    take(timeline, chunk(0.8, 1), T0 + 0.65)
    assert keys(timeline)[:3] == [(0, 2), (0, 3), (1, 0)]


def test_old_rows_beyond_a_short_new_chunk_are_kept() -> None:
    timeline = ChunkTimeline()
    take(timeline, chunk(0.0, 0), T0)
    merge = take(timeline, chunk(0.4, 1, horizon=2), T0)
    assert [row.key[2] for row in merge.behind] == [4, 5, 6, 7]
    assert keys(timeline) == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 4), (0, 5), (0, 6), (0, 7)]


def test_chunk_off_the_grid_cuts_the_running_row_short() -> None:
    timeline = ChunkTimeline()
    take(timeline, chunk(0.0, 0), T0)
    take(timeline, chunk(0.5, 1), T0 + 0.45)
    assert keys(timeline)[1:3] == [(0, 2), (1, 0)]
    assert timeline.plan.rows[1].end == pytest.approx(T0 + 0.5)


@pytest.mark.parametrize(
    ("stamp", "sequence", "epoch", "now", "reason"),
    [
        (0.4, 5, 2, 0.0, "duplicate"),
        (0.4, 4, 2, 0.0, "out_of_order"),
        (0.4, 6, 1, 0.0, "old_epoch"),
        (0.0, 6, 2, 1.7, "past"),
        (9.0, 6, 2, 0.0, "far_future"),
    ],
)
def test_unusable_chunks_are_rejected_with_the_reason(
    stamp: float, sequence: int, epoch: int, now: float, reason: str
) -> None:
    timeline = ChunkTimeline()
    take(timeline, chunk(0.0, 5, epoch=2), T0)
    verdict = timeline.check(chunk(stamp, sequence, epoch=epoch), T0 + now)
    assert (verdict.accepted, verdict.reason) == (False, reason)
    assert verdict.detail


def test_newer_epoch_replaces_everything() -> None:
    timeline = ChunkTimeline()
    take(timeline, chunk(0.0, 7, epoch=0), T0)
    take(timeline, chunk(0.4, 0, epoch=1), T0)
    assert keys(timeline) == [(0, index) for index in range(8)]
    assert timeline.epoch == 1


def test_reset_drops_rows_and_older_epochs_and_restarts_the_sequence() -> None:
    timeline = ChunkTimeline()
    take(timeline, chunk(0.0, 7, epoch=3), T0)
    timeline.reset(4)
    assert timeline.plan.rows == ()
    assert timeline.check(chunk(0.0, 8, epoch=3), T0).reason == "old_epoch"
    assert timeline.check(chunk(0.0, 0, epoch=4), T0).accepted


def test_chunk_that_was_examined_before_a_reset_is_not_taken_over() -> None:
    timeline = ChunkTimeline()
    new = chunk(0.0, 7, epoch=3)
    merge = timeline.merge(new, T0, 0)
    timeline.reset(4)
    assert not timeline.commit(new, tuple(planned(request) for request in merge.new), 0)
    assert (timeline.epoch, timeline.plan.rows) == (4, ())


def test_after_a_clock_jump_any_sequence_is_accepted() -> None:
    timeline = ChunkTimeline()
    take(timeline, chunk(0.0, 7), T0)
    timeline.forget_order()
    assert timeline.check(chunk(0.0, 3), T0).accepted
    assert timeline.check(chunk(0.0, 3, epoch=-1), T0).reason == "old_epoch"


def test_rows_of_a_plan_that_was_dropped_count_as_none() -> None:
    timeline = ChunkTimeline()
    take(timeline, chunk(0.0, 0), T0, generation=3)
    merge = timeline.merge(chunk(0.8, 1, frozen_steps=2), T0, 4)
    assert (merge.kept, merge.behind, merge.first) == ((), (), 0)


def test_the_chunk_says_whether_its_reserve_is_executed() -> None:
    plain, reserve = chunk(0.0, 0, execute_steps=5), chunk(0.0, 0, execute_steps=5, execute_reserve=True)
    assert (executed_rows(plain), executed_rows(reserve)) == (5, 8)
    assert (first_row(plain, T0 + 1.0), first_row(reserve, T0 + 1.0)) == (None, 5)
    for new in (plain, reserve):
        assert ChunkTimeline().merge(new, T0, 0).needed == 5


def test_late_chunk_of_which_only_reserve_is_left_needs_one_row() -> None:
    merge = ChunkTimeline().merge(chunk(0.0, 0, execute_steps=5, execute_reserve=True), T0 + 1.2, 0)
    assert (merge.first, len(merge.new), merge.needed) == (6, 2, 1)


@pytest.mark.parametrize(
    ("stamp", "value", "kept"), [(0.8, 0.0, 3), (0.8009, 0.004, 3), (0.802, 0.0, 0), (0.8, 0.02, 0)]
)
def test_frozen_rows_that_are_being_executed_stay_as_they_are(stamp: float, value: float, kept: int) -> None:
    timeline = ChunkTimeline()
    take(timeline, chunk(0.0, 0, execute_reserve=True), T0)
    before = timeline.plan.rows
    merge = take(timeline, chunk(stamp, 1, value=value, frozen_steps=3, execute_reserve=True), T0 + 0.7)
    assert merge.first == kept
    assert sum(row is old for row in timeline.plan.rows for old in before if old.due >= T0 + 0.79) == kept


def test_frozen_rows_that_nobody_executes_are_ordinary_rows() -> None:
    assert ChunkTimeline().merge(chunk(0.0, 0, frozen_steps=3), T0, 0).first == 0


def test_same_action_has_one_tolerance_for_metres_and_one_for_radians() -> None:
    same, row = SameAction(), np.zeros(7)
    for column, difference, expected in ((0, 0.004, True), (0, 0.006, False), (3, 0.019, True), (3, 0.03, False)):
        other = row.copy()
        other[column] = difference
        assert same(row, other, ControlMode.EE_DELTA) is expected
    assert same(row, np.full(7, 0.015), ControlMode.JOINT_DELTA)
    assert not same(row, np.zeros(6), ControlMode.JOINT_DELTA)


@given(st.permutations([(0.0, 0), (0.6, 1), (1.0, 2), (1.8, 3)]))
def test_newest_chunk_wins_wherever_it_reaches_in_any_order_of_arrival(order: list[tuple[float, int]]) -> None:
    timeline, newest = ChunkTimeline(), -1
    for stamp, sequence in order:
        new = chunk(stamp, sequence)
        assert timeline.check(new, T0).accepted == (sequence > newest)
        if sequence > newest:
            take(timeline, new, T0)
        newest = max(newest, sequence)
    rows = timeline.plan.rows
    assert [row.due for row in rows] == sorted(row.due for row in rows)
    row = timeline.plan.at(T0 + 1.9)
    assert row is not None and row.key[1] == 3
    for a, b in pairwise(rows):
        assert a.end <= b.due + 1e-6
