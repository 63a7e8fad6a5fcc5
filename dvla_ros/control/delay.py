"""How long an inference will take: a percentile of the last ones."""

import math
from collections import deque

import numpy as np

from dvla_ros.errors import ConfigurationError


class DelayEstimate:
    """The newest durations of one kind and a percentile of them.

    The largest would do, too, but one hiccup would then freeze rows for as long as it is remembered; the mean would be
    exceeded half of the time. What happens during warm-up must not be recorded: it says nothing about later.
    """

    def __init__(self, percentile: float = 95.0, memory: int = 50, first_s: float = 0.0) -> None:
        """Start with a guess.

        Args:
            percentile: 0..100.
            memory: So many of the newest durations count.
            first_s: Estimate before the first one, in seconds.

        Raises:
            ConfigurationError: A number is out of range.
        """
        if not 0.0 <= percentile <= 100.0 or memory < 1 or not first_s >= 0.0:
            raise ConfigurationError(
                f"A delay estimate needs a percentile in 0..100, a memory of 1 or more and a first guess of 0 s or "
                f"more, got {percentile}, {memory} and {first_s}."
            )
        self._percentile, self._first = percentile, first_s
        self._durations: deque[float] = deque(maxlen=memory)

    def record(self, duration_s: float) -> None:
        """Remember one duration in seconds; a negative one (a clock was set back) is ignored."""
        if duration_s >= 0.0:
            self._durations.append(duration_s)

    @property
    def seconds(self) -> float:
        """The estimate: that percentile, between two durations the longer one."""
        if not self._durations:
            return self._first
        return float(np.percentile(list(self._durations), self._percentile, method="higher"))

    def clear(self, first_s: float | None = None) -> None:
        """Forget all durations, and start from a new guess if one is given."""
        self._durations.clear()
        self._first = self._first if first_s is None else first_s


def steps_during(duration_s: float, dt: float) -> int:
    """How many rows of `dt` seconds begin within `duration_s` seconds from the start of one, which is counted."""
    return max(0, math.ceil(duration_s / dt - _ROUNDING))


_ROUNDING = 1e-6
