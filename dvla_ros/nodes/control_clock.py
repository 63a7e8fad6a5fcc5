"""The time by which commands are made: ROS time, checked against the monotonic clock."""

from dataclasses import dataclass

JUMPED, STOPPED = "clock_jump", "clock_stopped"


@dataclass(frozen=True)
class ClockReading:
    """What a clock says.

    Attributes:
        now: Seconds; never less than at the reading before, except right after `ControlClock.follow`.
        shift: What to add to get ROS time, in seconds; zero except after a jump.
        problem: `clock_jump` or `clock_stopped` while ROS time cannot be used; else empty.
        detail: One sentence about it.
    """

    now: float
    shift: float = 0.0
    problem: str = ""
    detail: str = ""


class ControlClock:
    """Follows ROS time for as long as it runs evenly; belongs to one thread.

    After a jump it goes on from the time before, at the pace of the monotonic clock, so that the arm can be braked as
    if nothing had happened. `follow` then takes over the new time. While ROS time stands still, so does this clock.

    Args:
        jump_s: ROS time has jumped when it advances by so many seconds more or less than the monotonic clock between
            two readings. A simulated clock that runs at another pace stays far below that in one control period.
        stop_s: ROS time has stopped when it stands still for so many seconds of the monotonic clock.
    """

    def __init__(self, jump_s: float, stop_s: float) -> None:
        self._jump, self._stop = jump_s, stop_s
        self._ros: float | None = None
        self._monotonic = self._now = self._still_for = 0.0
        self._jumped_by = 0.0

    def read(self, ros_s: float, monotonic_s: float) -> ClockReading:
        """The time now.

        Args:
            ros_s: ROS time in seconds; 0 before the first message of a simulated clock.
            monotonic_s: The monotonic clock in seconds.
        """
        if ros_s == 0.0:
            return ClockReading(self._now, 0.0, STOPPED, "There is no time: nothing came on /clock.")
        if self._ros is None:
            self._ros, self._monotonic, self._now = ros_s, monotonic_s, ros_s
        advance, elapsed = ros_s - self._ros, monotonic_s - self._monotonic
        self._ros, self._monotonic = ros_s, monotonic_s
        self._still_for = self._still_for + elapsed if advance == 0.0 else 0.0
        if not self._jumped_by and abs(advance - elapsed) > self._jump and advance != 0.0:
            self._jumped_by = advance - elapsed
        if self._jumped_by:
            self._now += elapsed
            detail = f"ROS time jumped by {self._jumped_by:+.3f} s."
            return ClockReading(self._now, ros_s - self._now, JUMPED, detail)
        self._now = max(self._now, ros_s)
        if self._still_for > self._stop:
            return ClockReading(self._now, 0.0, STOPPED, f"ROS time has stood still for {self._still_for:.1f} s.")
        return ClockReading(self._now)

    def follow(self) -> None:
        """Take over ROS time as it was read last."""
        self._jumped_by = 0.0
        if self._ros is not None:
            self._now = self._ros
