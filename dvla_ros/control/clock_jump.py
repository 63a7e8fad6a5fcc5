"""A clock that was set, told from what streams and the present time say."""

from collections.abc import Sequence
from typing import Any

from dvla_ros.control.stream import CLOCK_JUMP_S, StampedStream


class ClockWatch:
    """Compares the present time with the one before and with the streams."""

    def __init__(self) -> None:
        self._latest: float | None = None

    def jump(self, streams: Sequence[StampedStream[Any]], now: float) -> str:
        """How the clock jumped, in words that name the stream; empty when it did not."""
        for stream in streams:
            if stream.jump < 0.0:
                return f"The stamps of '{stream.name}' jumped back by {-stream.jump:.2f} s"
            if stream.jump > 0.0:
                return f"The clock jumped ahead of the stamps of '{stream.name}' by {stream.jump:.2f} s"
        arrivals = {stream.name: stream.arrived for stream in streams}
        known = {name: arrived for name, arrived in arrivals.items() if arrived is not None}
        newest = max(known, key=lambda name: known[name], default=None)
        if newest is not None and now < known[newest] - CLOCK_JUMP_S:
            return f"The clock jumped back by {known[newest] - now:.2f} s behind the arrival of '{newest}'"
        if self._latest is not None and now < self._latest - CLOCK_JUMP_S:
            return f"The clock jumped back by {self._latest - now:.2f} s"
        return ""

    def at(self, now: float) -> None:
        """Remember the present time."""
        self._latest = now

    def forget(self) -> None:
        """Start anew."""
        self._latest = None
