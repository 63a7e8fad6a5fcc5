"""Emergency stop and deadman: what latches a fault from outside, and whether it is over."""

from dvla_ros.nodes.holds import Hold

ESTOP, DEADMAN_LOST, DEADMAN_AWAITED = "estop", "deadman_lost", "deadman_awaited"
STEADY_S = 0.5
"""Heartbeats that are just being discovered may come with gaps; motion begins when there was none for so long."""


class EmergencyStop:
    """Buttons by name; one that is pressed stays so until the same one is released."""

    def __init__(self) -> None:
        self._pressed: dict[str, None] = {}

    def put(self, button: str, pressed: bool) -> None:
        """A button was pressed or released."""
        if pressed:
            self._pressed[button] = None
        else:
            self._pressed.pop(button, None)

    @property
    def cause(self) -> str:
        """Which buttons are pressed, in one sentence; empty when none is."""
        pressed = list(self._pressed)
        return f"{' and '.join(pressed)} says stop; send false there first." if pressed else ""


class Deadman:
    """Listens to the heartbeats by which a person permits motion.

    Times are seconds of the monotonic clock: no jump of ROS time can hide that the heartbeats have stopped.

    Args:
        topic: Where heartbeats come from; empty: none is needed.
        timeout_s: Without a heartbeat for so long it is lost.
    """

    def __init__(self, topic: str, timeout_s: float) -> None:
        self._topic, self._timeout = topic, timeout_s
        self._heard: float | None = None
        self._since = 0.0
        self._steady = False

    @property
    def awaited(self) -> Hold | None:
        """The hold until heartbeats have come steadily for once; None after that, or when none is needed."""
        if not self._topic or self._steady:
            return None
        return Hold(DEADMAN_AWAITED, f"No steady heartbeat has come on {self._topic} yet.", quiet=True)

    def heartbeat(self, now: float) -> None:
        """A heartbeat arrived at `now`."""
        if self._heard is None or now - self._heard > self._timeout:
            self._since = now
        self._heard = now
        self._steady |= now - self._since >= STEADY_S

    def age(self, now: float) -> float:
        """Seconds since the last heartbeat; NaN before the first one."""
        return float("nan") if self._heard is None else now - self._heard

    def lost(self, now: float) -> str:
        """Why motion is not permitted at `now`, in one sentence; empty while it is."""
        if not self._topic or self._heard is None or now - self._heard <= self._timeout:
            return ""
        return f"No heartbeat on {self._topic} for {now - self._heard:.2f} s, allowed are {self._timeout:g} s."
