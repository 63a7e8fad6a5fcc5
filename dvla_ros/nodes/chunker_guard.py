"""Watches from outside whether the chunker is still there while the arm follows its commands."""

from dvla_ros.msg import ExecutionStatus

CHUNKER_LOST = "chunker_lost"
_ENDED = "control_thread"
"""Reason of the fault of a chunker that lives without its control thread."""


class ChunkerGuard:
    """Knows the chunker by its execution status; times are seconds of the monotonic clock.

    Args:
        timeout_s: Without a status for so long the chunker is lost; it sends ten per second.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout = timeout_s
        self._status: ExecutionStatus | None = None
        self._heard = 0.0

    def hear(self, status: ExecutionStatus, now: float) -> None:
        """A status arrived at `now`."""
        self._status, self._heard = status, now

    def lost(self, now: float) -> str:
        """Why nobody looks after the arm at `now`, in one sentence; empty when somebody does or it rests."""
        status = self._status
        if status is None:
            return ""
        if status.state == ExecutionStatus.FAULT and status.reason == _ENDED:
            return "The control thread of the chunker has ended."
        if status.state != ExecutionStatus.FOLLOWING or now - self._heard <= self._timeout:
            return ""
        return f"The chunker followed a chunk and has been silent for {now - self._heard:.1f} s."
