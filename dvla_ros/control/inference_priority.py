"""What a thread that infers does so that threads which command an arm on the same machine are on time.

It leaves one core alone, takes less of the others when they are contended, and never interrupts who runs there. With
real-time priority the command thread is on time anyway; without it, this is what helps.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")
_CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class InferencePriority:
    """What `give_way_to_control` achieved.

    Attributes:
        nice: Nice value of the thread, 0 ordinary .. 19 last.
        session_nice: Nice value of its whole session; None where it shares the session with others or there is none.
        batch: Whether the thread is of the policy `SCHED_BATCH`, which never interrupts another thread.
        cores: Logical processors on which it may run.
        free_cores: Those it leaves alone; empty with a single one.
    """

    nice: int
    session_nice: int | None
    batch: bool
    cores: tuple[int, ...]
    free_cores: tuple[int, ...]

    @property
    def threads(self) -> int:
        """Most threads that a computation should use: one per processor that it may run on."""
        return len(self.cores)

    def __str__(self) -> str:
        free = f"leaves processor {_listed(self.free_cores)} free" if self.free_cores else "leaves no processor free"
        session = "" if self.session_nice is None else f" (its session {self.session_nice})"
        batch = ", batch policy" if self.batch else ""
        return f"inference runs on processor {_listed(self.cores)}, {free}, nice {self.nice}{session}{batch}"


def give_way_to_control(nice: int = 5) -> InferencePriority:
    """Lower the priority of the calling thread, and leave a core free; needs no permission.

    Threads and processes that it starts later inherit all of it, so call it first of all in the thread that infers:
    the pool of threads of a computation belongs to the thread that began it. Threads that already run, those of DDS
    among them, keep their priority: images still arrive. An unprivileged process cannot take it back.

    Where the kernel groups processes by session (autogroup, as on desktops), nice values only count within one session.
    The value of the session itself is set, too, if this process leads it. That of a terminal or of a launch is left
    alone: other nodes are in it, and among them the thread's own value counts.

    Args:
        nice: Nice value to take, 0..19; one that is higher already stays. Each step costs a fifth of the time that the
            thread gets beside others: 5 leaves it a third of an ordinary program's, 10 a tenth, which is too little to
            infer in time on a full machine.
    """
    allowed = sorted(os.sched_getaffinity(0))
    free = _core_to_leave(allowed)
    if free:
        os.sched_setaffinity(0, set(allowed) - set(free))
    os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    return InferencePriority(
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        session_nice=_set_session_nice(nice),
        batch=_become_batch(),
        cores=tuple(core for core in allowed if core not in free),
        free_cores=free,
    )


def _core_to_leave(allowed: list[int]) -> tuple[int, ...]:
    """The last core with all its hyper-threads, or the last logical processor where there is one core only.

    The last one, because interrupts prefer the first and the fast cores of mixed processors have the lower numbers.
    """
    if len(allowed) < 2:
        return ()
    siblings = tuple(cpu for cpu in allowed if cpu in _siblings(allowed[-1]))
    return siblings if len(siblings) < len(allowed) else (allowed[-1],)


def _siblings(cpu: int) -> set[int]:
    """Logical processors of the same core; only itself where the kernel does not say."""
    path = _CPUS / f"cpu{cpu}/topology/thread_siblings_list"
    if not path.exists():
        return {cpu}
    ranges = [part.split("-") for part in path.read_text().strip().split(",")]
    return {number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)}


def _set_session_nice(nice: int) -> int | None:
    """Set the nice value of this process's session if it leads one and the kernel schedules by session."""
    if os.getsid(0) != os.getpid() or not _AUTOGROUP.exists():
        return None
    try:
        _AUTOGROUP.write_text(str(nice))
    except OSError:  # a second change within a tenth of a second, or a read-only /proc: the thread's own value remains
        return None
    return nice


def _become_batch() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:  # a container's filter of system calls
        return False
    return True


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
