"""Temporal ensembling: the mean of all predictions for one due time (ACT, Zhao et al., arXiv 2304.13705)."""

import numpy as np

from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.pose_interpolation import matrix_from_quaternion, quaternion_from_matrix
from dvla_ros.control.rotation import euler_from_matrix, matrix_from_euler
from dvla_ros.errors import ActionError, ConfigurationError

_GRID_TOLERANCE = 1e-3
"""Seconds by which a due time may be off the grid of the chunks before."""


class TemporalEnsemble:
    """Predictions by due time. Belongs to one thread.

    The due times of all chunks must lie on one grid. Of the predictions for a due time, the i-th oldest has the weight
    `exp(-decay * i)`: the oldest counts most. What was predicted is known by its due time, not by its value, so that
    an action of zeros counts like any other.
    """

    def __init__(self, decay: float = 0.01) -> None:
        """Start without predictions; `decay` is m in the paper.

        Raises:
            ConfigurationError: `decay` is negative or not finite.
        """
        if not 0.0 <= decay < np.inf:
            raise ConfigurationError(f"The decay of the weights must be 0 or more and finite, got {decay}.")
        self._decay = decay
        self._layout: tuple[float, int, ControlMode] | None = None
        self._origin = 0.0
        self._predictions: dict[int, list[np.ndarray]] = {}

    def clear(self) -> None:
        """Forget all predictions; the next chunk begins a new grid."""
        self._layout = None
        self._predictions.clear()

    def add(self, stamp: float, dt: float, actions: np.ndarray, mode: ControlMode) -> np.ndarray:
        """Take up a chunk, and forget what was predicted for times before it.

        Args:
            stamp: Due time of row 0 in seconds.
            dt: Seconds between rows.
            actions: `[H, D]` in physical units.
            mode: What a row means. The angles of poses are averaged as rotations, everything else as numbers.

        Returns:
            float32 `[H, D]`, the mean of all predictions for each due time of the chunk.

        Raises:
            ActionError: The shape is wrong, the chunk differs in mode, width or dt from those before, or its due times
                lie off their grid by more than 1 ms.
        """
        if not (np.isfinite(stamp) and 0.0 < dt < np.inf):
            raise ActionError(f"Cannot average actions at {stamp} s, dt {dt} s: both must be finite, dt positive.")
        if actions.ndim != 2 or (mode is ControlMode.EE_POSE and actions.shape[1] < 6):
            raise ActionError(f"Cannot average actions of shape {list(actions.shape)} as {mode.name}.")
        first = self._first_index(stamp, dt, actions, mode)
        for index in [index for index in self._predictions if index < first]:
            del self._predictions[index]
        for index, row in enumerate(np.array(actions, np.float64), start=first):
            self._predictions.setdefault(index, []).append(row)
        means = [self._mean(self._predictions[first + index], mode) for index in range(len(actions))]
        return np.array(means, np.float32).reshape(actions.shape)

    def _first_index(self, stamp: float, dt: float, actions: np.ndarray, mode: ControlMode) -> int:
        """Index of the chunk's first row on the grid; the first chunk makes the grid."""
        if self._layout is None:
            self._layout, self._origin = (dt, actions.shape[1], mode), stamp
            return 0
        grid_dt, width, known = self._layout
        if (actions.shape[1], mode) != (width, known):
            raise ActionError(f"A chunk of {actions.shape[1]} {mode.name} columns follows {width} {known.name} ones.")
        index = round((stamp - self._origin) / grid_dt)
        begin, end = self._origin + index * grid_dt, self._origin + (index + len(actions)) * grid_dt
        off = max(abs(stamp - begin), abs(stamp + len(actions) * dt - end))
        if not off <= _GRID_TOLERANCE:
            raise ActionError(f"A chunk at {stamp:.6f} s, dt {dt} s, is {off:.4f} s off the grid of dt {grid_dt} s.")
        return index

    def _mean(self, rows: list[np.ndarray], mode: ControlMode) -> np.ndarray:
        if len(rows) == 1:
            return rows[0]
        weights = np.exp(-self._decay * np.arange(len(rows)))
        mean = np.asarray((weights / weights.sum()) @ np.stack(rows))
        if mode is ControlMode.EE_POSE:
            mean[3:6] = mean_angles(np.stack(rows)[:, 3:6], weights)
        return mean


def mean_angles(angles: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The rotation nearest to several.

    The unit quaternion q that maximises the weighted sum of `(q · q_i)²`, which is the eigenvector of the largest
    eigenvalue of `sum w_i q_i q_iᵀ` (Markley et al., "Averaging quaternions", 2007); the signs of the quaternions do
    not matter.

    Args:
        angles: `[n, 3]` roll, pitch, yaw in rad.
        weights: `[n]`, positive.

    Returns:
        float64 `[3]` roll, pitch, yaw in rad.
    """
    quaternions = np.stack([quaternion_from_matrix(matrix_from_euler(row)) for row in angles])
    _, vectors = np.linalg.eigh(quaternions.T @ (weights[:, None] * quaternions))
    return euler_from_matrix(matrix_from_quaternion(vectors[:, -1]))
