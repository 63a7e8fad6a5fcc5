"""A policy is asked on the grid of the recorded chunks, or at even times."""

import numpy as np
import pytest

from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.evaluation.anchors import anchor_times
from dvla_ros.evaluation.recorded_inference import due_times

DT = 0.2


def chunk(stamp, sequence=0, epoch=1, **changes):
    settings = {"execute_steps": 4, "execute_reserve": True} | changes
    actions = np.zeros((8, 7), np.float32)
    names = tuple("abcdefg")
    return ActionChunk(stamp, DT, actions, ControlMode.EE_DELTA, names, sequence, epoch, **settings)


def test_without_chunks_times_are_even_from_the_start():
    assert anchor_times(10.0, 11.0, DT, 0.0).tolist() == pytest.approx([10.0, 10.2, 10.4, 10.6, 10.8])
    assert anchor_times(10.0, 11.0, DT, 0.5).tolist() == pytest.approx([10.0, 10.5])


def test_rows_of_a_chunk_end_where_the_next_one_begins():
    due = list(due_times([chunk(10.0), chunk(10.8, 1)], DT))
    assert due == pytest.approx([10.0, 10.2, 10.4, 10.6, *(10.8 + DT * row for row in range(8))])


def test_rows_that_are_no_reserve_end_with_those_to_be_executed():
    synchronous = {"execute_reserve": False}
    due = list(due_times([chunk(10.0, **synchronous), chunk(12.0, 1, **synchronous)], DT))
    assert due == pytest.approx([10.0, 10.2, 10.4, 10.6, 12.0, 12.2, 12.4, 12.6])


def test_chunks_of_another_grid_do_not_count():
    assert list(due_times([chunk(10.0)], 0.1)) == []
    assert anchor_times(10.0, 10.5, 0.1, 0.0, [chunk(10.03)]).tolist() == pytest.approx([10.0, 10.1, 10.2, 10.3, 10.4])


def test_anchors_are_due_times_within_the_episode():
    times = anchor_times(10.1, 11.0, DT, 0.0, [chunk(10.03), chunk(10.83, 1)])
    assert times.tolist() == pytest.approx([10.23, 10.43, 10.63, 10.83])


def test_anchors_can_be_thinned_out_and_stay_on_the_grid():
    times = anchor_times(10.0, 12.0, DT, 0.5, [chunk(10.0), chunk(10.8, 1)])
    assert times.tolist() == pytest.approx([10.0, 10.6, 11.2, 11.8])
