"""Real-time priority and locked memory for threads that command an arm, and what to do where they are not permitted.

- `SCHED_FIFO`: the thread runs as soon as it wakes, whatever ordinary programs do. ros2_control's controller manager,
  which moves the motors, takes priority 50 and locks its memory; what commands it stays below.
- Locked memory: no page of the process is written to swap or, where it came from a file, dropped when memory runs
  short; otherwise the next access waits for the disk.

Root may have both; others by a limits file, which the one warning of this module names.
"""

import ctypes
import logging
import os
import resource
import threading

LIMITS_FILE = "/etc/security/limits.d/dvla.conf"
LIMITS = ("@realtime - rtprio 99", "@realtime - memlock unlimited")
GROUP_COMMAND = 'sudo groupadd --force realtime && sudo usermod -aG realtime "$USER"'
ADVICE = (
    f"To permit it, write these lines into {LIMITS_FILE}:\n  "
    + "\n  ".join(LIMITS)
    + f"\nthen run:\n  {GROUP_COMMAND}\nand log in anew. Docker and systemd: docs/how_to/real_time.md."
)
MAX_PRIORITY = 99

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # <sys/mman.h>, the same on x86 and ARM
_logger = logging.getLogger(__name__)
_advised = threading.Event()


def request_realtime(priority: int) -> bool:
    """Give the calling thread `SCHED_FIFO` priority, and say in the log how that went.

    Children and threads started from it do not inherit the priority.

    Args:
        priority: 1..99; 0 does nothing.

    Returns:
        True when it was granted.
    """
    if priority == 0:
        return False
    name = threading.current_thread().name
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError as error:
        _refused(
            f"No real-time priority for '{name}' ({error.strerror}): commands may be late when the cores are busy."
        )
        return False
    _logger.info("'%s' runs with real-time priority %d.", name, priority)
    return True


def lock_memory() -> bool:
    """Keep the memory of this process in RAM, and say in the log how that went.

    What is there is read into RAM at once. What is taken later is locked page by page as it is used: libraries reserve
    much more than they use, and to fill 46 MB of it took the first command 130 ms. Under a limit, later memory is not
    locked: every growth beyond the limit would fail, and end the process. Children do not inherit the lock.

    Returns:
        True when at least the memory of now is locked.
    """
    limit = _raise_limit()
    error = _mlockall(_MCL_CURRENT)
    if error:
        _refused(f"Memory is not locked ({os.strerror(error)}): commands may be late when memory runs short.")
        return False
    # The kernel refuses more than the limit to all but the privileged, whom it lets grow, too.
    unlimited = limit == resource.RLIM_INFINITY or _virtual_size() > limit
    future = unlimited and not _mlockall(_MCL_FUTURE | _MCL_ONFAULT)
    _logger.info("Memory is locked%s.", "" if future else ", but not what is taken from now on")
    return True


def _refused(consequence: str) -> None:
    """Warn with the remedy once per process, whatever is refused first; afterwards only inform."""
    if _advised.is_set():
        _logger.info(consequence)
        return
    _advised.set()
    _logger.warning("%s %s", consequence, ADVICE)


def _raise_limit() -> int:
    """Use all of the memory limit that is allowed without asking; the limit in bytes."""
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    return hard


def _virtual_size() -> int:
    """Address space of the process in bytes."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def _mlockall(flags: int) -> int:
    """The C function; 0 or the error number."""
    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.mlockall(flags) == 0 else ctypes.get_errno()
