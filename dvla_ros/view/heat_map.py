"""The picture of a canvas: rows are denoising steps, columns positions, colour is confidence, edges tell what happened.

A position that is masked after the step is dark; one that holds a token is bright. A white edge is a commit in this
step, a red one a token that was masked again, a blue one a token that the caller had fixed.
"""

import cv2
import numpy as np

from dvla_ros.view.trace import Cell, Segment

EDGE = {
    Cell.COMMITTED: (255, 255, 255),
    Cell.REMASKED: (255, 60, 60),
    Cell.FROZEN: (60, 150, 255),
}
"""Colour (RGB) of the edge of a cell; other cells have none."""

CELL_COLOUR = {Cell.MASKED: (60, 60, 66), Cell.HELD: (70, 160, 110), **EDGE}
"""Colour (RGB) of each kind of cell where confidence is not shown."""

_WIDTH = 1400
_LARGEST, _SMALLEST = 24, 5
_GAP = 4
_BACKGROUND = (24, 26, 30)
_MASKED_LIGHT = 0.35


def cell_size(positions: int) -> int:
    """Pixels of a cell's side, so that a canvas of so many positions is about 1400 pixels wide."""
    return int(np.clip(_WIDTH // max(1, positions), _SMALLEST, _LARGEST))


def cell_origin(step: int, position: int, segment: Segment) -> tuple[int, int]:
    """Pixel (row, column) of a cell's upper left corner; rows of the segment stand a gap apart."""
    size = cell_size(segment.size)
    return step * size, position * size + _GAP * (position // segment.columns)


def draw_heat_map(confidence: np.ndarray, cells: np.ndarray, segment: Segment) -> np.ndarray:
    """Picture of one segment over all denoising steps.

    Args:
        confidence: `[S, L]`, 0..1; what is not finite counts as 0.
        cells: uint8 `[S, L]` of `Cell`.
        segment: With L positions.

    Returns:
        RGB uint8 `[S * cell, L * cell + gaps, 3]`.
    """
    steps, positions = cells.shape
    size, edge = cell_size(positions), max(1, cell_size(positions) // 8)
    fill = _fill(confidence, cells)
    width = positions * size + _GAP * ((positions - 1) // segment.columns)
    picture = np.full((steps * size, width, 3), _BACKGROUND, np.uint8)
    for step in range(steps):
        for position in range(positions):
            top, left = cell_origin(step, position, segment)
            block = picture[top : top + size - 1, left : left + size - 1]
            block[:] = fill[step, position]
            kind = Cell(int(cells[step, position]))
            if kind in EDGE:
                _draw_edge(block, EDGE[kind], edge)
    return picture


def _fill(confidence: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Colour of each cell, uint8 `[S, L, 3]`: the confidence, dark where the position is masked."""
    levels = np.round(255.0 * np.clip(np.nan_to_num(confidence, nan=0.0), 0.0, 1.0)).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[:, :, ::-1]
    masked = (cells == Cell.MASKED) | (cells == Cell.REMASKED)
    light = np.where(masked, _MASKED_LIGHT, 1.0)[:, :, None]
    return np.round(colours * light).astype(np.uint8)


def _draw_edge(block: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    block[:width], block[-width:] = colour, colour
    block[:, :width], block[:, -width:] = colour, colour
