"""Python's garbage collector, kept out of the way of a loop that must be even.

By itself the collector starts whenever enough objects were made, in whichever thread makes the next one, and holds the
interpreter lock meanwhile: a full collection of a process with numpy and ROS takes tens of milliseconds. Here what
exists at the start is taken out of its reach (`gc.freeze`), automatic collections are off, and the loop collects by
hand in the time that is left before it is due again.
"""

import gc
import threading
import time

_EXPECTED_S = (0.0005, 0.001, 0.005)
"""Duration of the first collection of each generation, until one was measured."""
_MARGIN = 2.0
"""A collection is expected to take at most so many times what the last one of its generation took."""
_FORGETTING = 0.99
"""Each time there is too little time the expectation shrinks, so that one slow collection does not end them all."""
_OVERDUE = 50
"""So many times the threshold of new objects are collected even if there is never time: memory must not grow."""

_lock = threading.Lock()
_loops = 0


class GarbageByHand:
    """Collects for one loop; several loops of a process share the collector, which is automatic again after the last.

    Attributes:
        collections: Number of collections by this loop.
        longest_s: Duration of the longest one.
    """

    def __init__(self) -> None:
        self.collections = 0
        self.longest_s = 0.0
        self._expected_s = list(_EXPECTED_S)
        self._begun = False

    def begin(self) -> None:
        """Collect, freeze what is left, and turn automatic collections off; call it after set-up."""
        global _loops  # noqa: PLW0603 - the collector is the process's, too
        with _lock:
            _loops += not self._begun
            self._begun = True
            gc.disable()
            gc.collect()
            gc.freeze()

    def end(self) -> None:
        """Turn automatic collections on again, unless another loop goes on."""
        global _loops  # noqa: PLW0603
        with _lock:
            _loops -= self._begun
            self._begun = False
            if _loops == 0:
                gc.enable()

    def collect_within(self, available_s: float) -> None:
        """Collect the oldest generation that is due and fits into the time; nothing when none does."""
        counts, thresholds = gc.get_count(), gc.get_threshold()
        for generation in (2, 1, 0):
            if counts[generation] > thresholds[generation]:
                if _MARGIN * self._expected_s[generation] <= available_s:
                    return self._collect(generation)
                self._expected_s[generation] *= _FORGETTING
        if counts[0] > _OVERDUE * thresholds[0]:
            self._collect(0)
        return None

    def _collect(self, generation: int) -> None:
        began = time.monotonic()
        gc.collect(generation)
        self._expected_s[generation] = elapsed = time.monotonic() - began
        self.longest_s = max(self.longest_s, elapsed)
        self.collections += 1
