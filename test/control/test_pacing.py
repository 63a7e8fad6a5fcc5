"""The paced thread: rate, overruns, failures, priority."""

import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from dvla_ros.control import pacing, realtime
from dvla_ros.control.pacing import PacedThread
from dvla_ros.errors import ConfigurationError

PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def _restore_interpreter() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)


class Ticks:
    """A callback that notes the time of every call and says when there were enough."""

    def __init__(self, enough: int) -> None:
        self.times: list[int] = []
        self.done = threading.Event()
        self._enough = enough

    def __call__(self) -> None:
        self.times.append(time.monotonic_ns())
        if len(self.times) == self._enough:
            self.done.set()


def test_callback_runs_at_the_rate_and_stops() -> None:
    ticks = Ticks(21)
    thread = PacedThread(ticks, rate_hz=100.0)
    thread.start()
    assert thread.running
    assert ticks.done.wait(PATIENCE_S)
    thread.stop()
    assert not thread.running
    calls = len(ticks.times)
    summary = thread.statistics.summary()
    assert summary.periods == calls - 1
    # Never early: n periods take at least n times 10 ms, whatever the machine does.
    assert ticks.times[20] - ticks.times[0] >= 20 * 10_000_000 - 2_000_000


def test_missed_slots_are_skipped_and_never_made_up_for_by_a_burst() -> None:
    times: list[int] = []
    done, never = threading.Event(), threading.Event()

    def slow_at_first() -> None:
        times.append(time.monotonic_ns())
        if len(times) == 1:
            never.wait(0.095)  # the work of four and a half periods
        if len(times) == 6:
            done.set()

    thread = PacedThread(slow_at_first, rate_hz=50.0)
    thread.start()
    assert done.wait(PATIENCE_S)
    thread.stop()
    assert thread.statistics.overruns >= 1
    assert thread.statistics.skipped_slots >= 4
    assert times[1] - times[0] >= 100_000_000 - 2_000_000
    assert times[5] - times[1] >= 4 * 20_000_000 - 10_000_000


def test_exception_of_the_callback_ends_the_thread_and_is_reported() -> None:
    reported: list[Exception] = []
    done = threading.Event()

    def report(error: Exception) -> None:
        reported.append(error)
        done.set()

    def fail() -> None:
        raise ValueError("no arm")

    thread = PacedThread(fail, rate_hz=50.0, on_failure=report)
    thread.start()
    assert done.wait(PATIENCE_S)
    thread.stop()
    assert reported == [thread.failure]
    assert str(thread.failure) == "no arm"


def test_stop_from_inside_the_callback_ends_the_thread() -> None:
    done = threading.Event()

    def finish() -> None:
        thread.stop()
        done.set()

    thread = PacedThread(finish, rate_hz=50.0)
    thread.start()
    assert done.wait(PATIENCE_S)
    thread.stop()
    assert thread.statistics.summary().periods == 0


def test_realtime_says_what_the_thread_really_got() -> None:
    policies: list[int] = []
    done = threading.Event()

    def look() -> None:
        policies.append(os.sched_getscheduler(0))
        done.set()

    thread = PacedThread(look, rate_hz=50.0, priority=5)
    thread.start()
    assert done.wait(PATIENCE_S)
    thread.stop()
    assert thread.realtime == (policies[0] & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_refused_priority_is_reported_and_the_thread_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(pid: int, policy: int, parameter: os.sched_param) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    realtime._advised.clear()
    ticks = Ticks(5)
    thread = PacedThread(ticks, rate_hz=200.0, name="commands")
    with caplog.at_level(logging.INFO):
        thread.start()
        assert ticks.done.wait(PATIENCE_S)
        thread.stop()
    assert not thread.realtime
    (record,) = caplog.records
    assert "'commands'" in record.getMessage() and "rtprio" in record.getMessage()


@pytest.mark.parametrize("granted", [True, False])
def test_memory_is_locked_before_the_first_call_and_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, granted: bool
) -> None:
    order: list[str] = []
    done = threading.Event()

    def lock() -> bool:
        order.append("lock")
        return granted

    def tick() -> None:
        order.append("tick")
        done.set()

    monkeypatch.setattr(pacing, "lock_memory", lock)
    thread = PacedThread(tick, rate_hz=50.0, lock_memory=True)
    thread.start()
    assert done.wait(PATIENCE_S)
    thread.stop()
    assert order[:2] == ["lock", "tick"]
    assert thread.memory_locked is granted
    assert PacedThread(tick, rate_hz=50.0).memory_locked is False


def test_garbage_is_collected_between_the_calls_only() -> None:
    collected_in: list[tuple[str, bool]] = []
    calling, done = False, threading.Event()

    def note(phase: str, information: dict[str, int]) -> None:
        if phase == "start":
            collected_in.append((threading.current_thread().name, calling))

    def litter() -> None:
        nonlocal calling
        calling = True
        for _ in range(2000):
            cycle: list[object] = []
            cycle.append(cycle)
        calling = False
        if thread.garbage.collections >= 5:
            done.set()

    thread = PacedThread(litter, rate_hz=100.0, name="commands")
    thread.start()
    gc.callbacks.append(note)
    try:
        assert done.wait(PATIENCE_S)
    finally:
        gc.callbacks.remove(note)
        thread.stop()
    assert len(collected_in) >= 4
    assert set(collected_in) == {("commands", False)}
    assert gc.isenabled()


def test_calls_keep_their_rate_when_somebody_sets_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = iter(range(-1000, 1_000_000))
    monkeypatch.setattr(time, "time", lambda: 3600.0 * next(hours))
    monkeypatch.setattr(time, "time_ns", lambda: 3600 * 10**9 * next(hours))
    ticks = Ticks(21)
    thread = PacedThread(ticks, rate_hz=100.0)
    thread.start()
    assert ticks.done.wait(PATIENCE_S)
    thread.stop()
    assert ticks.times[20] - ticks.times[0] >= 20 * 10_000_000 - 2_000_000


def test_time_of_the_callback_and_longest_gap_are_measured() -> None:
    ticks, never = Ticks(3), threading.Event()

    def slow() -> None:
        never.wait(0.03)
        ticks()

    thread = PacedThread(slow, rate_hz=50.0)
    thread.start()
    assert ticks.done.wait(PATIENCE_S)
    thread.stop()
    summary = thread.statistics.summary()
    assert summary.longest_busy_ms >= 30.0
    assert summary.longest_gap_s >= 0.04 - 0.002
    assert summary.overruns >= 2


def test_start_shortens_the_switch_interval() -> None:
    sys.setswitchinterval(0.005)
    ticks = Ticks(1)
    thread = PacedThread(ticks, rate_hz=100.0)
    thread.start()
    assert ticks.done.wait(PATIENCE_S)
    thread.stop()
    assert sys.getswitchinterval() == pytest.approx(0.00002)


@pytest.mark.parametrize(("rate_hz", "priority"), [(0.0, 10), (-5.0, 10), (50.0, 100), (50.0, -1)])
def test_impossible_settings_are_refused(rate_hz: float, priority: int) -> None:
    with pytest.raises(ConfigurationError):
        PacedThread(Ticks(1), rate_hz, priority)
