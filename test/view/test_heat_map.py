"""The picture of the canvas says what the trace says."""

import cv2
import numpy as np
import pytest
from viewed import trace

from dvla_ros.view.heat_map import EDGE, cell_origin, cell_size, draw_heat_map
from dvla_ros.view.trace import Cell, Segment

SEGMENT = Segment("action", 2, 3)


@pytest.fixture
def picture():
    return draw_heat_map(trace().confidence, trace().cells(), SEGMENT)


def cell_of(picture, step, position):
    top, left = cell_origin(step, position, SEGMENT)
    size = cell_size(SEGMENT.size)
    return picture[top : top + size - 1, left : left + size - 1]


def test_the_edge_of_each_cell_tells_what_happened_to_it(picture):
    cells = trace().cells()
    kinds = {colour: kind for kind, colour in EDGE.items()}
    for step in range(3):
        for position in range(6):
            block = cell_of(picture, step, position)
            told = kinds.get(tuple(int(value) for value in block[0, 0]))
            cell = Cell(int(cells[step, position]))
            assert told == (cell if cell in EDGE else None)
            assert (block[-1] == block[0, 0]).all() and (block[:, -1] == block[0, 0]).all()


def test_the_colour_of_a_cell_is_its_confidence_and_dark_where_it_is_masked(picture):
    confidence = trace().confidence
    levels = np.round(255 * confidence).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[:, :, ::-1]
    middle = cell_size(SEGMENT.size) // 2
    np.testing.assert_array_equal(cell_of(picture, 1, 1)[middle, middle], colours[1, 1])
    np.testing.assert_array_equal(cell_of(picture, 2, 5)[middle, middle], np.round(colours[2, 5] * 0.35))


def test_rows_of_actions_stand_apart(picture):
    size = cell_size(SEGMENT.size)
    assert picture.shape[:2] == (3 * size, 6 * size + 4)
    assert cell_origin(0, 3, SEGMENT)[1] - cell_origin(0, 2, SEGMENT)[1] == size + 4


def test_confidence_that_is_no_number_does_no_harm():
    confidence = np.full((3, 6), np.nan, np.float32)
    assert draw_heat_map(confidence, trace().cells(), SEGMENT).dtype == np.uint8


def test_a_canvas_of_many_tokens_becomes_a_picture_of_bearable_size():
    segment = Segment("image_front", 1, 1024)
    cells = np.full((20, 1024), Cell.HELD, np.uint8)
    assert draw_heat_map(np.ones((20, 1024)), cells, segment).shape == (100, 5120, 3)
