"""A thread that calls a function at a fixed rate, as evenly as Python allows.

What makes a Python loop uneven, and what is done about it here:

- Other programs: with every core busy the default scheduler lets a thread wait for tens of milliseconds. The thread
  asks for real-time priority (`SCHED_FIFO`), and the process for locked memory, see `realtime`.
- Drift: due times are multiples of the period on the monotonic clock, not "now plus a period". That clock does not
  follow when somebody sets the time, and stands still while the machine is suspended.
- The interpreter lock: a thread that wakes waits until the running Python thread gives way, up to the switch interval,
  5 ms by default, and once more for every C call of the other thread that lets go of the lock only to take it again.
  Real-time priority does not help there. `start` lowers the interval for the whole process. A C call that keeps the
  lock is not interrupted at all: keep inference in another process, or in libraries that release it.
- Priority inversion: a thread of the same process that is suspended while it holds the interpreter lock holds up this
  one. Give such threads a priority right behind this one's.
- Garbage collection: by hand, right after a call, see `garbage`. Call `start` after set-up.
- Late callbacks: slots that were missed are skipped, never made up for by a burst of calls.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable

from dvla_ros.control.garbage import GarbageByHand
from dvla_ros.control.period_statistics import PeriodStatistics
from dvla_ros.control.realtime import MAX_PRIORITY, lock_memory
from dvla_ros.control.realtime import request_realtime as request_realtime
from dvla_ros.errors import ConfigurationError

_SWITCH_INTERVAL_S = 0.00002

_logger = logging.getLogger(__name__)


class PacedThread:
    """Calls `callback` at `rate_hz` from a thread of its own until stopped.

    Attributes:
        statistics: Periods, overruns, skipped slots and gaps.
        garbage: Collections that the thread made between two calls.
        failure: The exception that ended the thread; None while there was none.
        realtime: Whether the thread got real-time priority; False before it runs.
        memory_locked: Whether the memory of the process is locked; False before `start`.
    """

    def __init__(
        self,
        callback: Callable[[], None],
        rate_hz: float,
        priority: int = 10,
        *,
        name: str = "paced",
        on_failure: Callable[[Exception], None] | None = None,
        lock_memory: bool = False,
    ) -> None:
        """Prepare the thread; `start` runs it.

        Args:
            callback: Called once per period; must return well within it.
            rate_hz: Calls per second.
            priority: `SCHED_FIFO` priority 1..99; 0 does not ask for any.
            name: Name of the thread.
            on_failure: Called from the thread with the exception that ended it.
            lock_memory: Keep the memory of the whole process in RAM.

        Raises:
            ConfigurationError: The rate is not positive or the priority is out of range.
        """
        if not rate_hz > 0.0:
            raise ConfigurationError(f"A paced thread needs a rate above 0 Hz, got {rate_hz}.")
        if not 0 <= priority <= MAX_PRIORITY:
            raise ConfigurationError(f"The real-time priority must lie in 0..{MAX_PRIORITY}, got {priority}.")
        self.statistics = PeriodStatistics(rate_hz)
        self.garbage = GarbageByHand()
        self.failure: Exception | None = None
        self.realtime = False
        self.memory_locked = False
        self._callback = callback
        self._on_failure = on_failure
        self._period_ns = round(1e9 / rate_hz)
        self._priority = priority
        self._lock_memory = lock_memory
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Run; changes switch interval, garbage collector and, if asked to, memory of the process, see the module."""
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL_S))
        if self._lock_memory:
            self.memory_locked = lock_memory()
        self.garbage.begin()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it: at most one period and one callback. Harmless when it does not run."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    @property
    def running(self) -> bool:
        """True between `start` and the end of the thread."""
        return self._thread.is_alive()

    def _run(self) -> None:
        self.realtime = request_realtime(self._priority)
        try:
            self._loop()
        except Exception as error:
            self.failure = error
            _logger.exception("The thread '%s' ended.", self._thread.name)
            if self._on_failure is not None:
                self._on_failure(error)
        finally:
            self.garbage.end()

    def _loop(self) -> None:
        due = time.monotonic_ns()
        while not self._stop.is_set():
            self.statistics.record_start()
            began = time.monotonic_ns()
            self._callback()
            ended = time.monotonic_ns()
            self.statistics.record_busy(ended - began)
            due = self._next_due(due, ended)
            self.garbage.collect_within((due - ended) * 1e-9)
            _sleep_until(due)

    def _next_due(self, due: int, now: int) -> int:
        """The next multiple of the period that is not over, counting what was missed; nanoseconds."""
        following = due + self._period_ns
        if now <= following:
            return following
        self.statistics.record_overrun()
        skipped = (now - following) // self._period_ns + 1
        self.statistics.record_skipped(skipped)
        return following + skipped * self._period_ns


def _sleep_until(due_ns: int) -> None:
    """Sleep until a time of the monotonic clock, in nanoseconds."""
    remaining = due_ns - time.monotonic_ns()
    if remaining > 0:
        time.sleep(remaining * 1e-9)
