"""Which of the anchors that are asked for can be answered by now."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from dvla_ros.control.stream import CLOCK_JUMP_S


class PendingAnchors:
    """Anchors in the order in which they are asked for, until each is due.

    An anchor is due when every stream covers it, or when one is so far beyond it that the others will not come any
    more. Where the anchors go back, the clock of the recording was set back, too: those behind wait until it is.

    Args:
        anchors: Seconds.
        wait_s: Seconds that one stream may be beyond an anchor before the others are given up.
    """

    def __init__(self, anchors: Sequence[float], wait_s: float) -> None:
        self._runs = deque(deque(run) for run in _ascending_runs(anchors))
        self._wait, self._top = wait_s, float("-inf")

    def __bool__(self) -> bool:
        """Whether any is left."""
        return bool(self._runs)

    def due(self, newest: Mapping[str, float | None]) -> Iterator[float]:
        """The anchors that are due when the streams have come so far; each is given once.

        Args:
            newest: Newest stamp in seconds by stream; None: it has none.
        """
        known = [stamp for stamp in newest.values() if stamp is not None]
        if not known or not self._runs:
            return
        covered = min(known) if len(known) == len(newest) else float("-inf")
        top = max(known)
        if top < self._top - CLOCK_JUMP_S and len(self._runs) > 1:
            yield from self._runs.popleft()
        self._top = top
        run = self._runs[0]
        while run and (covered >= run[0] or top > run[0] + self._wait):
            yield run.popleft()
        if not run and len(self._runs) == 1:
            self._runs.popleft()

    def rest(self) -> Iterator[float]:
        """Those that were never due."""
        while self._runs:
            yield from self._runs.popleft()


def _ascending_runs(anchors: Sequence[float]) -> list[list[float]]:
    """The anchors, cut where one goes back by more than a clock's jump."""
    runs: list[list[float]] = []
    for anchor in anchors:
        if not runs or anchor < runs[-1][-1] - CLOCK_JUMP_S:
            runs.append([])
        runs[-1].append(anchor)
    return runs
