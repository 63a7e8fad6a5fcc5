"""The timeline: merged by due time, never by arrival."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.timeline import ChunkTimeline

T0 = 1_700_000_000.0


def chunk(
    stamp: float, sequence: int, horizon: int = 8, value: float = 0.0, epoch: int = 0, execute_steps: int = 0
) -> ActionChunk:
    actions = np.full((horizon, 7), value, np.float32)
    return ActionChunk(
        T0 + stamp, 0.2, actions, ControlMode.EE_DELTA, ACTION_NAMES, sequence, epoch, execute_steps=execute_steps
    )


def keys(timeline: ChunkTimeline) -> list[tuple[int, int]]:
    return [row.key[1:] for row in timeline.rows]


def test_row_is_current_from_its_due_time_to_the_next() -> None:
    timeline = ChunkTimeline()
    assert timeline.merge(chunk(1.0, 0), T0).accepted
    assert timeline.at(T0 + 0.9) is None
    row = timeline.at(T0 + 1.0)
    assert row is not None and row.key == (0, 0, 0)
    late = timeline.at(T0 + 1.39)
    assert late is not None and late.key == (0, 0, 1)
    assert timeline.at(T0 + 2.6) is None


def test_past_rows_are_dropped_and_the_running_one_is_kept() -> None:
    timeline = ChunkTimeline()
    timeline.merge(chunk(0.0, 0), T0 + 0.5)
    assert keys(timeline) == [(0, index) for index in range(2, 8)]


def test_new_chunk_covers_old_rows_from_its_stamp_on() -> None:
    timeline = ChunkTimeline()
    timeline.merge(chunk(0.0, 0), T0)
    timeline.merge(chunk(0.8, 1), T0 + 0.3)
    assert keys(timeline) == [(0, 1), (0, 2), (0, 3)] + [(1, index) for index in range(8)]


def test_old_rows_beyond_a_short_new_chunk_are_kept() -> None:
    timeline = ChunkTimeline()
    timeline.merge(chunk(0.0, 0), T0)
    timeline.merge(chunk(0.4, 1, horizon=2), T0)
    assert keys(timeline) == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 4), (0, 5), (0, 6), (0, 7)]


def test_chunk_off_the_grid_cuts_the_running_row_short() -> None:
    timeline = ChunkTimeline()
    timeline.merge(chunk(0.0, 0), T0)
    timeline.merge(chunk(0.5, 1), T0 + 0.45)
    assert keys(timeline)[:2] == [(0, 2), (1, 0)]
    assert timeline.rows[0].end == pytest.approx(T0 + 0.5)


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
def test_unusable_chunks_are_rejected_and_change_nothing(
    stamp: float, sequence: int, epoch: int, now: float, reason: str
) -> None:
    timeline = ChunkTimeline()
    timeline.merge(chunk(0.0, 5, epoch=2), T0)
    before = timeline.rows
    verdict = timeline.merge(chunk(stamp, sequence, epoch=epoch), T0 + now)
    assert (verdict.accepted, verdict.reason) == (False, reason)
    assert verdict.detail
    assert timeline.rows == before


def test_newer_epoch_replaces_everything() -> None:
    timeline = ChunkTimeline()
    timeline.merge(chunk(0.0, 7, epoch=0), T0)
    assert timeline.merge(chunk(0.4, 0, epoch=1), T0).accepted
    assert keys(timeline) == [(0, index) for index in range(8)]
    assert timeline.epoch == 1


def test_reset_drops_rows_and_older_epochs_and_restarts_the_sequence() -> None:
    timeline = ChunkTimeline()
    timeline.merge(chunk(0.0, 7, epoch=3), T0)
    timeline.reset(4)
    assert timeline.rows == ()
    assert timeline.merge(chunk(0.0, 8, epoch=3), T0).reason == "old_epoch"
    assert timeline.merge(chunk(0.0, 0, epoch=4), T0).accepted


def test_reserve_rows_are_left_out_unless_asked_for() -> None:
    plain, reserve = ChunkTimeline(), ChunkTimeline(execute_reserve=True)
    for timeline in (plain, reserve):
        timeline.merge(chunk(0.0, 0, execute_steps=5), T0)
    assert (len(plain.rows), len(reserve.rows)) == (5, 8)
    assert plain.merge(chunk(0.0, 1, execute_steps=5), T0 + 1.1).reason == "past"
    assert reserve.merge(chunk(0.0, 1, execute_steps=5), T0 + 1.1).accepted


def test_next_row_is_the_one_that_follows_without_a_gap() -> None:
    timeline = ChunkTimeline()
    timeline.merge(chunk(0.0, 0, horizon=2), T0)
    first, second = timeline.rows
    assert timeline.after(first) is second
    assert timeline.after(second) is None


@given(st.permutations([(0.0, 0), (0.6, 1), (1.0, 2), (1.8, 3)]))
def test_newest_chunk_wins_wherever_it_reaches_in_any_order_of_arrival(order: list[tuple[float, int]]) -> None:
    timeline, newest = ChunkTimeline(), -1
    for stamp, sequence in order:
        accepted = timeline.merge(chunk(stamp, sequence), T0).accepted
        assert accepted == (sequence > newest)
        newest = max(newest, sequence)
    dues = [row.due for row in timeline.rows]
    assert dues == sorted(dues)
    row = timeline.at(T0 + 1.9)
    assert row is not None and row.key[1] == 3
    for a, b in zip(timeline.rows, timeline.rows[1:], strict=False):
        assert a.end <= b.due + 1e-6
