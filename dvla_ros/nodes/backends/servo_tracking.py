"""How far the arm is behind what was commanded, as the velocity that brings it back."""

from collections import deque

import mujoco
import numpy as np

LAG_S = 0.1
"""Seconds from a command to the arm being there: Servo plans that far ahead (its `max_expected_latency`)."""

GAIN = 2.0
"""Share of the error that is taken back per second. With the lag twice as long as assumed it still does not swing."""

RECENT_S = 0.1
"""Measured joints that are older say nothing about the present error."""


class CommandHistory:
    """Remembers what was commanded, to compare the arm with what it was asked for one lag ago.

    Compared with the present command, an arm in motion would always seem behind, be driven faster, and overshoot.

    Args:
        lag_s: Seconds from a command to the arm being there.
    """

    def __init__(self, lag_s: float = LAG_S) -> None:
        self._lag = lag_s
        self._commands: deque[tuple[float, np.ndarray]] = deque()

    def add(self, arm: np.ndarray, now: float) -> None:
        """Note the joints `[6]` in rad commanded at `now` seconds; a clock that went back begins anew."""
        if self._commands and now < self._commands[-1][0]:
            self._commands.clear()
        self._commands.append((now, arm))
        while len(self._commands) > 1 and self._commands[1][0] <= now - self._lag:
            self._commands.popleft()

    @property
    def due(self) -> np.ndarray:
        """Joints `[6]` in rad where the arm should be now; one `add` at least must have come before."""
        return self._commands[0][1]


def is_recent(measured: float, now: float) -> bool:
    """Whether joints measured at one time can be compared with what is due at another, in seconds."""
    return 0.0 <= now - measured <= RECENT_S


def pose_difference(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """What leads from one pose to another.

    Args:
        start: `[4, 4]`.
        end: `[4, 4]` in the same frame.

    Returns:
        float64 `[6]`: translation in metres, rotation vector in radians (0..pi long), both along the frame's axes.
    """
    quaternion, rotation = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(end[:3, :3] @ start[:3, :3].T).ravel())
    mujoco.mju_quat2Vel(rotation, quaternion, 1.0)
    return np.concatenate([end[:3, 3] - start[:3, 3], rotation])


def correction(error: np.ndarray, limit: float) -> np.ndarray:
    """Velocity that takes an error back: GAIN times the error, its length at most `limit` (per second)."""
    velocity = GAIN * error
    length = float(np.linalg.norm(velocity))
    return velocity * (limit / length) if length > limit else velocity
