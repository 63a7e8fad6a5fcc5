"""Whether a person permits motion: a switch that must be held, and a release that takes the permission away."""


class Permission:
    """Times are seconds of the monotonic clock.

    Args:
        switch_needed: Whether a switch must be held; without one only a release takes the permission away.
        timeout_s: A switch that has not been heard of for so long counts as let go.
    """

    def __init__(self, switch_needed: bool, timeout_s: float) -> None:
        self._needed, self._timeout = switch_needed, timeout_s
        self._held, self._heard = False, float("-inf")
        self.released = False
        """True while the permission is taken away by request."""

    def switch(self, held: bool, now: float) -> None:
        """The switch was reported held or let go at `now`."""
        self._held, self._heard = held, now

    def refusal(self, now: float) -> str:
        """Why motion is not permitted at `now`, in one sentence; empty while it is."""
        if self.released:
            return "Released by request; call ~/release with data: false."
        if not self._needed:
            return ""
        if now - self._heard > self._timeout:
            return f"The switch has not been heard of for {self._timeout:g} s."
        return "" if self._held else "The switch is not held."
