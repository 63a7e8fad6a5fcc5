"""Chunks merge as the chunker merges them: by due time, the newest wins, but never over what is over or frozen."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.recordings.actions.executed_rows import ExecutedRows

DT = 0.2
NAMES = tuple("abcdefg")


def chunk(stamp, value, sequence, rows=4, epoch=1, reserve=True, **fields):
    actions = np.full((rows, 7), value, np.float32)
    return ActionChunk(
        stamp, DT, actions, ControlMode.EE_DELTA, NAMES, sequence, epoch, execute_reserve=reserve, **fields
    )


def merged(*arrivals):
    executed = ExecutedRows(ControlMode.EE_DELTA)
    for now, arriving in arrivals:
        executed.take(arriving, now)
    rows = executed.rows()
    return rows.due.round(3).tolist(), [float(action[0]) for action in rows.actions]


def test_the_newest_chunk_wins_from_its_arrival_on():
    dues, values = merged((0.0, chunk(0.0, 1, 1)), (0.45, chunk(0.2, 2, 2)))
    assert dues == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert values == [1, 1, 2, 2, 2]  # the row of 0.2 was over when it arrived


def test_the_reserve_is_executed_only_where_it_is_meant_to_be():
    _, values = merged((0.0, chunk(0.0, 1, 1, execute_steps=2, reserve=False)))
    assert values == [1, 1]


def test_frozen_rows_that_are_being_executed_stay_as_they_were():
    first, second = chunk(0.0, 1.0, 1), chunk(0.2, 1.0001, 2, frozen_steps=2)
    _, values = merged((0.0, first), (0.2, second))
    np.testing.assert_allclose(values[:3], 1.0, rtol=0)
    np.testing.assert_allclose(values[3:], np.float32(1.0001), rtol=0)


def test_a_new_epoch_drops_what_was_still_to_come():
    dues, values = merged((0.0, chunk(0.0, 1, 9)), (0.3, chunk(1.0, 2, 1, rows=2, epoch=2)))
    assert dues == [0.0, 0.2, 1.0, 1.2] and values == [1, 1, 2, 2]


def test_old_repeated_and_late_chunks_count_for_nothing():
    dues, values = merged(
        (0.0, chunk(0.0, 1, 5)), (0.0, chunk(0.0, 2, 5)), (0.0, chunk(0.0, 3, 4)), (9.0, chunk(0.0, 4, 6))
    )
    assert dues == [0.0, 0.2, 0.4, 0.6] and values == [1, 1, 1, 1]


def test_without_a_chunk_there_are_no_rows():
    assert merged((9.0, chunk(0.0, 1, 1))) == ([], [])


def test_rows_behind_a_shorter_chunk_stay():
    dues, values = merged((0.0, chunk(0.0, 1, 1, rows=6)), (0.2, chunk(0.2, 2, 2, rows=2)))
    assert dues == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] and values == [1, 2, 2, 1, 1, 1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-0.3, 0.5), st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=8))
def test_rows_never_overlap_and_are_in_order(arrivals):
    executed, now = ExecutedRows(ControlMode.EE_DELTA), 100.0
    for number, (lead, rows, frozen) in enumerate(arrivals):
        now += 0.17
        executed.take(chunk(now + lead, number, number, rows, frozen_steps=frozen), now)
    found = executed.rows()
    assert (np.diff(found.due) > 0.0).all()
    assert (found.due[1:] >= found.end[:-1] - 1e-3).all()
    assert (found.end > found.due).all()
