"""Figures in words and numbers, as a report shows them."""

import math

from dvla_ros.evaluation.open_loop.bootstrap import Interval

UNKNOWN = "–"


def number(value: float, digits: int = 3) -> str:
    """Three significant digits without an exponent where that is readable; a dash where it is not known."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"


def percent(value: float) -> str:
    """With one decimal place."""
    return f"{100 * value:.1f} %" if value is not None and math.isfinite(value) else UNKNOWN


def with_interval(value: float, interval: Interval, as_percent: bool = False) -> str:
    """A figure and where it lies, `0.051 (0.020 … 0.076)`."""
    write = percent if as_percent else number
    if not math.isfinite(value):
        return UNKNOWN
    if not math.isfinite(interval.low):
        return write(value)
    return f"{write(value)} ({write(interval.low)} … {write(interval.high)})"
