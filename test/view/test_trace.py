"""What became of each position of the canvas."""

from dataclasses import replace

import numpy as np
import pytest
from viewed import trace

from dvla_ros.errors import ActionError
from dvla_ros.view.trace import Cell, Segment


def test_frozen_committed_held_remasked_and_masked_positions_are_told_apart():
    f, c, h, r, m = Cell.FROZEN, Cell.COMMITTED, Cell.HELD, Cell.REMASKED, Cell.MASKED
    np.testing.assert_array_equal(trace().cells(), [[f, c, c, m, m, m], [f, h, r, m, m, m], [f, h, c, m, m, m]])


def test_a_position_committed_and_masked_again_in_one_step_is_masked():
    both = replace(trace(), committed=np.ones((3, 6), bool), remasked=np.ones((3, 6), bool))
    assert (both.cells()[:, 1:] == Cell.REMASKED).all()


def test_segments_follow_each_other():
    parts = list(trace(segments=(Segment("image_front", 1, 4), Segment("action", 2, 3))).parts())
    assert [(segment.name, where.start, where.stop) for segment, where in parts] == [
        ("image_front", 0, 4),
        ("action", 4, 10),
    ]


def test_arrays_that_do_not_fit_the_segments_are_refused():
    with pytest.raises(ActionError, match=r"chunk 1 has tokens of shape \[3, 6\].* need \[3, 4\]"):
        replace(trace(), segments=(Segment("action", 2, 2),))
