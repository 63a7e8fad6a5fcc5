"""Every test process has a ROS 2 domain of its own; its traffic stays on this machine; examples do not change.

`HYPOTHESIS_PROFILE=search` draws other examples, and many more of them.
"""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import settings

# Several processes test at once: each is to be content with its core.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

PACING = ("test/control/test_pacing.py", "test/control/test_realtime.py")
"""Tests of what nodes change in their process: before those."""
NODES = ("test/nodes/",)
"""Tests of nodes of this process: file by file, and first, because they take longest."""
SESSIONS = (
    "test/launch/test_systems.py",
    "test/launch/test_published.py",
    "test/nodes/test_episode_runner.py",
    "test/nodes/test_demonstrate.py",
)
"""Tests of a whole robot that may be slow: one after the other, beside those that only compute."""
ALONE = ("test/launch/",)
"""Tests that need the whole machine to be on time: one after the other, when all others are done."""
OTHERS = ("",)
WAITING = (PACING, NODES, SESSIONS)
"""Kinds that mostly wait for what nodes do: half of the processes take them, the others compute meanwhile."""


def kind_of(nodeid: str) -> tuple[str, ...]:
    """Which of the kinds above a test is of."""
    return next(kind for kind in (PACING, SESSIONS, NODES, ALONE, OTHERS) if nodeid.startswith(kind))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests of nodes at the beginning, and those that need the machine for themselves at the end.

    Nodes that move an arm in real time may find no processor for seconds, on a machine that others use too. So their
    tests may fail once, or lose their process to the middleware: what fails twice is a fault. pytest's last line counts
    those that were run again.
    """
    items.sort(key=lambda item: (PACING, NODES, SESSIONS, OTHERS, ALONE).index(kind_of(item.nodeid)))
    if config.pluginmanager.hasplugin("rerunfailures"):
        for item in items:
            if kind_of(item.nodeid) != OTHERS:
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Several processes take test by test; those of nodes go file by file, and of some all are one piece.

    Tests that wait leave processor time to those that compute, so both kinds run beside each other; what needs the
    machine for itself begins when nothing else runs.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Pieces(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            kind = kind_of(nodeid)
            if kind in (PACING, SESSIONS, ALONE):
                return str(kind)
            return nodeid.split("::", maxsplit=1)[0] if kind == NODES else nodeid

        def _assign_work_unit(self, node: Any) -> None:
            """The next piece, of another kind than half of the others wait for already."""
            waiting = sum(self._has(work, *WAITING) for other, work in self.assigned_work.items() if other is not node)
            if 2 * (waiting + 1) > max(2, len(self.nodes)):
                computing = (scope for scope, work in self.workqueue.items() if self._has({scope: work}, OTHERS))
                if (scope := next(computing, None)) is not None:
                    self.workqueue.move_to_end(scope, last=False)
            super()._assign_work_unit(node)

        def _has(self, work: dict[str, dict[str, bool]], *kinds: tuple[str, ...]) -> bool:
            """Whether a test of these kinds is to be done yet."""
            left = (next((name for name, done in tests.items() if not done), None) for tests in work.values())
            return any(name is not None and kind_of(name) in kinds for name in left)

        def _reschedule(self, node: Any) -> None:
            """A process keeps its last test until it knows the next, and one that follows a dead one has no other."""
            busy = any(self._pending_of(work) > 1 for other, work in self.assigned_work.items() if other is not node)
            if busy and self.workqueue and all(self._has({"": tests}, ALONE) for tests in self.workqueue.values()):
                return
            super()._reschedule(node)
            while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
                super()._reschedule(node)

        def mark_test_pending(self, item: str) -> None:
            """A test whose process died is among the unfinished ones of its piece already."""

    return Pieces(config, log)


# Times on shared cores say nothing about the code.
settings.register_profile("every_day", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "every_day"))

# Beyond 101 the domains' UDP ports can collide with the ports Linux gives to other programs.
DOMAINS = range(1, 102)


def claim_domain() -> tuple[int, IO[str]]:
    """Claim a ROS 2 domain that no other test process of this machine uses.

    Returns:
        The domain, and the open file whose lock holds it until this process ends.
    """
    first = os.getpid() % len(DOMAINS)
    for domain in [*DOMAINS[first:], *DOMAINS[:first]]:
        path = Path(tempfile.gettempdir()) / f"dvla_ros_test_{os.getuid()}_domain_{domain}.lock"
        lock = path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return domain, lock
        except BlockingIOError:
            lock.close()
    raise RuntimeError(f"all ROS 2 domains {DOMAINS.start}..{DOMAINS.stop - 1} are in use by other test processes")


_domain, _domain_lock = claim_domain()
os.environ["ROS_DOMAIN_ID"] = str(_domain)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
