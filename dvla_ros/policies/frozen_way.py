"""Where frozen rows lead, in the units that a network reads."""

import numpy as np

from dvla_ros.actions.normalization import Normalizer


class FrozenWay:
    """How far increments take the gripper, as a part of the state's range.

    Args:
        state: Normaliser of the state, whose first three numbers are x, y, z in m.
    """

    def __init__(self, state: Normalizer) -> None:
        self._scale = 2.0 / (state.high[:3] - state.low[:3])

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The sum of rows `[..., d, D]` that begin with dx, dy, dz in m, float32 `[..., 3]`; zero of no rows."""
        moved: np.ndarray = (rows[..., :3].sum(axis=-2, dtype=np.float64) * self._scale).astype(np.float32)
        return moved
