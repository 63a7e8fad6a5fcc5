"""How often something happens."""

from collections import deque


class Rate:
    """Events of the last seconds.

    Args:
        window_s: How far back is looked.
    """

    def __init__(self, window_s: float = 10.0) -> None:
        self._window = window_s
        self._times: deque[float] = deque(maxlen=1000)

    def add(self, now: float) -> None:
        """Something happened at `now` seconds."""
        self._times.append(now)

    def per_second(self, now: float) -> float:
        """Events per second in the window that ends at `now`; 0 for fewer than two."""
        recent = [time for time in self._times if now - time <= self._window]
        return (len(recent) - 1) / max(now - recent[0], 1e-3) if len(recent) > 1 else 0.0


class CountRate:
    """Events per second from a count that is reported now and then."""

    def __init__(self) -> None:
        self._newest: tuple[float, int] | None = None
        self.per_second: float | None = None

    def report(self, count: int, now: float) -> None:
        """The count stands at `count`; one that is smaller than before has started anew."""
        before, self._newest = self._newest, (now, count)
        if before is None or count < before[1] or now <= before[0]:
            self.per_second = None
        else:
            self.per_second = (count - before[1]) / (now - before[0])
