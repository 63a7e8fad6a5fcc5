"""Patterns that a table may have: checks, stripes and blotches around the colour of the plain one."""

import numpy as np

_SIZE = 256
"""Pixels of a side; the table measures 0.9 m, so one is 3.5 mm."""
_MEAN = np.array([0.62, 0.55, 0.45]) * 255.0
"""The plain table."""
_CHECK = 16
_STRIPE = 10
_BLOTCH = 16
_DEPTH = 110.0
"""Grey levels from the mean at contrast 1."""


def table_patterns(contrast: float) -> tuple[np.ndarray, ...]:
    """The three patterns, uint8 `[256, 256, 3]` RGB; none at contrast 0. The same at every call."""
    if contrast == 0.0:
        return ()
    rows, columns = np.indices((_SIZE, _SIZE))
    checks = ((rows // _CHECK + columns // _CHECK) % 2) * 2.0 - 1.0
    stripes = ((rows + columns) // _STRIPE % 2) * 2.0 - 1.0
    coarse = np.random.default_rng(0).uniform(-1.0, 1.0, (_SIZE // _BLOTCH, _SIZE // _BLOTCH))
    blotches = np.kron(coarse, np.ones((_BLOTCH, _BLOTCH)))
    return tuple(_coloured(relief, contrast) for relief in (checks, stripes, blotches))


def _coloured(relief: np.ndarray, contrast: float) -> np.ndarray:
    """A relief `[n, n]` in -1..1 as a picture."""
    picture = _MEAN + contrast * _DEPTH * relief[..., None]
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
