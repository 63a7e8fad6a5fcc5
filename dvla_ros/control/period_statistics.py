"""How evenly a loop runs."""

import time
from collections import deque
from dataclasses import dataclass

import numpy as np

_MEMORY = 20_000
"""Periods kept for the percentiles: 400 s at 50 Hz. The counts cover everything."""


@dataclass(frozen=True)
class PeriodSummary:
    """Evenness of a paced loop; the field names are those of the benchmark's JSON.

    Attributes:
        rate_hz: Mean rate since the first start.
        p50_period_error_ms: Median of |period - nominal period|.
        p99_period_error_ms: 99th percentile of it.
        worst_period_error_ms: Largest since the first start.
        overruns: Times the callback was still busy when it was due again.
        skipped_slots: Due times that passed without a call for that or any other reason.
        periods: Number of periods measured.
    """

    rate_hz: float
    p50_period_error_ms: float
    p99_period_error_ms: float
    worst_period_error_ms: float
    overruns: int
    skipped_slots: int
    periods: int


class PeriodStatistics:
    """Collects start times of a loop; one thread records, any thread may ask for a summary."""

    def __init__(self, rate_hz: float) -> None:
        self._nominal_ns = 1e9 / rate_hz
        self._errors_ns: deque[float] = deque(maxlen=_MEMORY)
        self._worst_ns = 0.0
        self._first_ns: int | None = None
        self._last_ns = 0
        self._periods = 0
        self.overruns = 0
        self.skipped_slots = 0

    def record_start(self, start_ns: int | None = None) -> None:
        """Note that the loop body starts now, or at `start_ns` of the monotonic clock."""
        now = time.monotonic_ns() if start_ns is None else start_ns
        if self._first_ns is None:
            self._first_ns = now
        else:
            error = abs(now - self._last_ns - self._nominal_ns)
            self._errors_ns.append(error)
            self._worst_ns = max(self._worst_ns, error)
            self._periods += 1
        self._last_ns = now

    def record_overrun(self) -> None:
        """Note that the loop body ended after its next due time."""
        self.overruns += 1

    def record_skipped(self, slots: int) -> None:
        """Note that `slots` due times passed without a call."""
        self.skipped_slots += slots

    def summary(self) -> PeriodSummary:
        """Figures so far; zeros before two starts."""
        if self._first_ns is None or self._periods == 0:
            return PeriodSummary(0.0, 0.0, 0.0, 0.0, self.overruns, self.skipped_slots, 0)
        p50, p99 = np.percentile(np.array(self._errors_ns.copy()), [50, 99]) / 1e6
        rate = self._periods * 1e9 / (self._last_ns - self._first_ns)
        worst = self._worst_ns / 1e6
        return PeriodSummary(rate, float(p50), float(p99), worst, self.overruns, self.skipped_slots, self._periods)
