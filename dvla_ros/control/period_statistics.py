"""How evenly a loop runs."""

import time
from array import array
from dataclasses import dataclass

import numpy as np

_FINE_BITS = 6
"""Bins per doubling, as a power of two: a percentile is at most 1/64 above the true one."""
_DOUBLINGS = 42
"""Errors up to two hours and a half; larger ones count as that."""


@dataclass(frozen=True)
class PeriodSummary:
    """Evenness of a paced loop since its first start; the field names are those of the benchmark's JSON.

    Attributes:
        rate_hz: Mean rate.
        p50_period_error_ms: Median of |period - nominal period|, rounded up by at most 1.6 %.
        p99_period_error_ms: 99th percentile of it, rounded up likewise.
        worst_period_error_ms: Largest one.
        overruns: Times the callback was still busy when it was due again.
        skipped_slots: Due times that passed without a call for that or any other reason.
        periods: Number of periods measured.
        longest_gap_s: Longest time between two starts, the sleep of the whole machine included.
        longest_busy_ms: Longest time that the callback took.
    """

    rate_hz: float
    p50_period_error_ms: float
    p99_period_error_ms: float
    worst_period_error_ms: float
    overruns: int
    skipped_slots: int
    periods: int
    longest_gap_s: float = 0.0
    longest_busy_ms: float = 0.0


class PeriodStatistics:
    """Collects start times of a loop; one thread records, any thread may ask for a summary.

    Periods are measured on the monotonic clock, which stands still while the machine is suspended; gaps on the
    boot-time clock, which does not. Neither jumps when somebody sets the time. Recording takes constant memory, and a
    summary of a week takes as long as one of a minute.
    """

    def __init__(self, rate_hz: float) -> None:
        self._nominal_ns = round(1e9 / rate_hz)
        self._bins = array("q", bytes(8 * (_DOUBLINGS << _FINE_BITS)))
        self._worst_ns = self._longest_gap_ns = self._longest_busy_ns = 0
        self._first_ns: int | None = None
        self._last_ns = self._last_boot_ns = 0
        self._periods = 0
        self.overruns = 0
        self.skipped_slots = 0

    def record_start(self, start_ns: int | None = None, boot_ns: int | None = None) -> None:
        """Note that the loop body starts now, or at `start_ns` of the monotonic clock.

        Args:
            start_ns: Nanoseconds of the monotonic clock; None for now.
            boot_ns: The same moment on the boot-time clock; None for now, or for `start_ns` where that is given.
        """
        now = time.monotonic_ns() if start_ns is None else start_ns
        if boot_ns is None:
            boot_ns = _boot_time_ns() if start_ns is None else start_ns
        if self._first_ns is None:
            self._first_ns = now
        else:
            self._record_period(now - self._last_ns, boot_ns - self._last_boot_ns)
        self._last_ns, self._last_boot_ns = now, boot_ns

    def record_busy(self, busy_ns: int) -> None:
        """Note how long the loop body took, in nanoseconds."""
        self._longest_busy_ns = max(self._longest_busy_ns, busy_ns)

    def record_overrun(self) -> None:
        """Note that the loop body ended after its next due time."""
        self.overruns += 1

    def record_skipped(self, slots: int) -> None:
        """Note that `slots` due times passed without a call."""
        self.skipped_slots += slots

    def gap_s(self) -> float:
        """Seconds since the last start; 0 before the first. A loop that hangs shows here, not in the summary."""
        return 0.0 if self._first_ns is None else (_boot_time_ns() - self._last_boot_ns) * 1e-9

    def summary(self) -> PeriodSummary:
        """Figures so far; zeros before two starts."""
        if self._first_ns is None or self._periods == 0:
            return PeriodSummary(0.0, 0.0, 0.0, 0.0, self.overruns, self.skipped_slots, 0, 0.0, self._busy_ms)
        return PeriodSummary(
            rate_hz=self._periods * 1e9 / (self._last_ns - self._first_ns),
            p50_period_error_ms=self._percentile_ms(0.50),
            p99_period_error_ms=self._percentile_ms(0.99),
            worst_period_error_ms=self._worst_ns / 1e6,
            overruns=self.overruns,
            skipped_slots=self.skipped_slots,
            periods=self._periods,
            longest_gap_s=self._longest_gap_ns * 1e-9,
            longest_busy_ms=self._busy_ms,
        )

    @property
    def _busy_ms(self) -> float:
        return self._longest_busy_ns / 1e6

    def _record_period(self, period_ns: int, gap_ns: int) -> None:
        error = abs(period_ns - self._nominal_ns)
        self._bins[_bin_of(error)] += 1
        self._worst_ns = max(self._worst_ns, error)
        self._longest_gap_ns = max(self._longest_gap_ns, gap_ns)
        self._periods += 1

    def _percentile_ms(self, share: float) -> float:
        """The error that `share` of all errors do not exceed: the upper end of its bin, but never above the worst."""
        counts = np.cumsum(np.array(self._bins))
        index = int(np.searchsorted(counts, share * counts[-1]))
        return min(_upper_end(index), self._worst_ns) / 1e6


def _bin_of(error_ns: int) -> int:
    """Bin of an error: single nanoseconds up to 64, then 64 bins of equal width for each doubling."""
    shift = max(0, error_ns.bit_length() - _FINE_BITS - 1)
    return min((shift << _FINE_BITS) + (error_ns >> shift), (_DOUBLINGS << _FINE_BITS) - 1)


def _upper_end(index: int) -> int:
    """Largest error of a bin in nanoseconds; the inverse of `_bin_of`."""
    shift = max(0, (index >> _FINE_BITS) - 1)
    return (((index - (shift << _FINE_BITS)) + 1) << shift) - 1


def _boot_time_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
