"""Rows that were being executed are given where they have tokens of their own, and taught nowhere."""

from dataclasses import replace

import pytest
import torch
from tiny_vla import ACTION, COLUMNS, ROWS, VOCABULARY, random_batch, random_tokens, tiny_config

from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.training.objectives.frozen_rows import frozen_positions, frozen_steps, has_row_tokens, mean_where

IMAGE = SegmentSizes("image", 1, 3, VOCABULARY)
FREQUENCIES = SegmentSizes("action", 1, ACTION.length, VOCABULARY)


def batch_of(*frozen):
    batch = random_batch(random_tokens(len(frozen), 3 + ACTION.length, VOCABULARY))
    return replace(batch, frozen=torch.tensor(frozen))


def test_tokens_of_frozen_rows_are_given_and_not_taught():
    canvas = tiny_config(IMAGE, ACTION).canvas
    given, untaught = frozen_positions(batch_of(0, 1, ROWS), canvas, rows_are_tokens=True)
    assert given.sum(dim=1).tolist() == [0, COLUMNS, ROWS * COLUMNS]
    assert given[1, 3 : 3 + COLUMNS].all() and not given[:, :3].any()
    assert torch.equal(given, untaught)


def test_no_frequency_is_given_and_those_of_frames_with_frozen_rows_are_not_taught():
    canvas = tiny_config(IMAGE, FREQUENCIES).canvas
    given, untaught = frozen_positions(batch_of(0, 1), canvas, rows_are_tokens=False)
    assert not given.any()
    assert not untaught[0].any() and not untaught[1, :3].any() and untaught[1, 3:].all()


def test_canvases_of_one_frame_stand_side_by_side():
    repeated = frozen_positions(batch_of(0, 1), tiny_config(IMAGE, ACTION).canvas, rows_are_tokens=True).repeat(2)
    assert [part.any(dim=1).tolist() for part in repeated] == [[False, False, True, True]] * 2


def test_a_batch_that_says_nothing_has_no_frozen_rows():
    assert frozen_steps(replace(batch_of(1, 2), frozen=None)).tolist() == [0, 0]


@pytest.mark.parametrize(("segment", "expected"), [(ACTION, True), (FREQUENCIES, False)])
def test_the_layout_tells_whether_every_number_has_a_token(segment, expected):
    assert has_row_tokens(tiny_config(segment).canvas, batch_of(0)) is expected


def test_the_mean_of_nothing_is_nothing():
    values = torch.tensor([[1.0, 3.0, 8.0]])
    assert mean_where(values, torch.tensor([[True, True, False]])).item() == 2.0
    assert mean_where(values, torch.zeros(1, 3, dtype=torch.bool)).item() == 0.0
