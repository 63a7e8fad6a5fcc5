"""The colours of the view, RGB; the same as in the film of the demo where both draw the same thing."""

import numpy as np

SOON, LATER = np.array([255.0, 225.0, 60.0]), np.array([255.0, 60.0, 200.0])
OVER = (150, 150, 150)
CLOSES = (40, 220, 255)
ARM = (230, 230, 235)
TRAIL = (110, 200, 120)
SEAM = (240, 130, 60)
ROW = {
    "commands": (90, 200, 110),
    "frozen": (60, 150, 255),
    "over": (110, 110, 115),
    "replaced": (70, 70, 76),
    "refused": (230, 70, 60),
}
STATE = {"following": "INFO", "starved": "WARN", "holding": "WARN", "fault": "CRITICAL", "inactive": "INFO"}
"""Level at which a state of the chunk controller is logged."""


def row_colours(rows: int, over: int) -> np.ndarray:
    """Colours uint8 `[rows, 3]` of the rows of a chunk: grey for the first `over`, then yellow to pink."""
    shares = np.linspace(0.0, 1.0, max(rows, 2))[:rows, None]
    colours = np.round((1.0 - shares) * SOON + shares * LATER).astype(np.uint8)
    colours[:over] = OVER
    return colours
