"""The newest joints over a short time, to be asked for those of a moment."""

from bisect import bisect_right
from collections import deque

import numpy as np


class JointTrack:
    """Keeps the newest samples; times in seconds.

    Args:
        keep_s: Older samples are forgotten.
    """

    def __init__(self, keep_s: float = 10.0) -> None:
        self._keep_s = keep_s
        self._times: deque[float] = deque()
        self._joints: deque[np.ndarray] = deque()

    def add(self, stamp: float, joints: np.ndarray) -> None:
        """Add a sample `[6]`; one that is older than the newest is ignored, unless time began anew."""
        if self._times and stamp < self._times[-1]:
            if stamp > self._times[-1] - self._keep_s:
                return
            self._times.clear()
            self._joints.clear()
        self._times.append(stamp)
        self._joints.append(joints)
        while self._times[0] < stamp - self._keep_s:
            self._times.popleft()
            self._joints.popleft()

    def before(self, stamp: float, within_s: float = float("inf")) -> np.ndarray | None:
        """The newest sample `[6]` that is not newer than `stamp`, else the oldest one.

        None while there is none, and where it is more than `within_s` seconds from `stamp`.
        """
        if not self._times:
            return None
        index = max(0, bisect_right(self._times, stamp) - 1)
        return self._joints[index] if abs(stamp - self._times[index]) <= within_s else None
