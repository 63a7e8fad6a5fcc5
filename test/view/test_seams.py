"""Which chunk commands when, and how far the plan jumps where they join."""

import math

import numpy as np
import pytest
from viewed import BEGIN, chunk

from dvla_ros.view.seams import Schedule, rows_of, takeover


def kinds(schedule, sequence):
    return [kind for reign, _, kind in rows_of(schedule.reigns) if reign.chunk.sequence == sequence]


def moved(sequence, stamp, millimetres, **changes):
    actions = chunk().actions.copy()
    actions[:, 1] += 0.001 * millimetres
    return chunk(sequence, stamp, actions=actions, **changes)


def test_a_chunk_takes_over_at_its_first_row_that_is_neither_over_nor_frozen():
    assert takeover(chunk(), BEGIN - 0.1) == BEGIN
    assert takeover(chunk(), BEGIN + 0.25) == pytest.approx(BEGIN + 0.2)
    assert takeover(chunk(frozen_steps=3), BEGIN + 0.25) == pytest.approx(BEGIN + 0.6)


def test_the_seam_has_the_jump_of_the_plan_in_metres_and_no_gap():
    schedule = Schedule()
    assert schedule.add(chunk(1), BEGIN) is None
    seam = schedule.add(moved(2, BEGIN + 0.6, 4.0, frozen_steps=2), BEGIN + 0.7)
    assert seam.stamp == pytest.approx(BEGIN + 1.0)
    assert seam.jump == pytest.approx(0.004, abs=1e-6)
    assert seam.gap_s == 0.0
    assert kinds(schedule, 1) == ["commands"] * 5 + ["replaced"] * 3
    assert kinds(schedule, 2) == ["frozen"] * 2 + ["commands"] * 6


def test_a_chunk_that_comes_late_leaves_a_gap_and_no_jump():
    schedule = Schedule()
    schedule.add(chunk(1), BEGIN)
    seam = schedule.add(chunk(2, BEGIN + 2.0), BEGIN + 2.0)
    assert seam.gap_s == pytest.approx(0.4)
    assert math.isnan(seam.jump)


def test_a_refused_chunk_commands_nothing_and_the_one_before_goes_on():
    schedule = Schedule()
    schedule.add(chunk(1), BEGIN)
    schedule.add(moved(2, BEGIN + 0.6, 400.0), BEGIN + 0.7)
    schedule.refuse(7, 2)
    assert kinds(schedule, 1) == ["commands"] * 8
    assert kinds(schedule, 2) == ["refused"] * 8
    schedule.refuse(7, 2)
    assert kinds(schedule, 2) == ["refused"] * 8


def test_a_chunk_that_comes_twice_changes_nothing():
    schedule = Schedule()
    schedule.add(chunk(2), BEGIN)
    before = schedule.reigns
    assert schedule.add(chunk(2), BEGIN) is None and schedule.add(chunk(1), BEGIN) is None
    assert schedule.reigns == before


def test_a_new_run_begins_without_a_seam():
    schedule = Schedule()
    schedule.add(chunk(5), BEGIN)
    assert schedule.add(chunk(1, BEGIN + 0.4, epoch=8), BEGIN + 0.4) is None
    assert np.isclose(schedule.reigns[0].end, BEGIN + 0.4)
