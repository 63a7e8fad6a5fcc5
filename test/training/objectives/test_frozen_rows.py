"""Rows that were being executed are given where they have tokens of their own, and taught nowhere."""

from dataclasses import replace

import pytest
import torch
from tiny_vla import ACTION, COLUMNS, ROWS, VOCABULARY, noise, random_batch, random_tokens, tiny_config

from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.training.objectives.frozen_rows import frozen_positions, frozen_steps, has_row_tokens, leading_rows

IMAGE = SegmentSizes("image", 1, 3, VOCABULARY)
LONG = SegmentSizes("action", 8, COLUMNS, VOCABULARY)
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


def given_rows(share, *frozen):
    """How many rows of each chunk are given, and that it is always whole leading ones."""
    canvas, batch = tiny_config(IMAGE, LONG).canvas, batch_of(*frozen)
    actions = torch.zeros(len(frozen), 8, COLUMNS)
    batch = replace(batch, targets=replace(batch.targets, actions=actions))
    given = leading_rows(share, canvas, batch, noise(len(frozen)))
    assert not given[:, :3].any()
    rows = given[:, 3:].unflatten(1, (8, COLUMNS))
    assert torch.equal(rows.any(dim=2), rows.all(dim=2))
    count = rows[:, :, 0].sum(dim=1)
    assert torch.equal(rows[:, :, 0], torch.arange(8) < count.unsqueeze(1))
    return count


def test_half_of_the_rows_at_most_are_given_and_few_more_often_than_many():
    found = torch.bincount(given_rows(1.0, *[0] * 6000), minlength=5) / 6000
    assert found == pytest.approx(torch.tensor([5, 4, 3, 2, 1]) / 15, abs=0.02)


def test_only_the_asked_share_of_the_chunks_is_given_rows():
    found = (given_rows(0.25, *[0] * 6000) > 0).float().mean()
    assert found.item() == pytest.approx(0.25 * 10 / 15, abs=0.02)
    assert not given_rows(0.0, 0, 0, 0).any()


def test_frames_with_rows_being_executed_are_given_no_others():
    assert given_rows(1.0, *[0, 2] * 100).reshape(-1, 2).sum(dim=0)[1] == 0
