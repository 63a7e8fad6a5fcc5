"""Giving way, asked of the real kernel in processes of their own; the topology of other machines from files."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control import inference_priority
from dvla_ros.control.inference_priority import InferencePriority, give_way_to_control

PROGRAM = """
import json, os, sys, threading
from dvla_ros.control.inference_priority import give_way_to_control
os.sched_setaffinity(0, set(json.loads(sys.argv[1])))
given = []
started_before = threading.Event()
def bystander():
    started_before.wait()
    given.append([os.getpriority(os.PRIO_PROCESS, 0), len(os.sched_getaffinity(0))])
def heir():
    given.append([os.getpriority(os.PRIO_PROCESS, 0), len(os.sched_getaffinity(0))])
earlier = threading.Thread(target=bystander)
earlier.start()
way = give_way_to_control(int(sys.argv[2]))
started_before.set(); earlier.join()
later = threading.Thread(target=heir); later.start(); later.join()
print(json.dumps({
    "nice": way.nice, "session_nice": way.session_nice, "batch": way.batch, "cores": way.cores, "free": way.free_cores,
    "really": {
        "nice": os.getpriority(os.PRIO_PROCESS, 0), "cores": sorted(os.sched_getaffinity(0)),
        "batch": os.sched_getscheduler(0) == os.SCHED_BATCH,
    },
    "earlier": given[0], "later": given[1], "autogroup": open("/proc/self/autogroup").read()
    if os.path.exists("/proc/self/autogroup") else None,
}))
"""
CORES = sorted(os.sched_getaffinity(0))


@functools.cache
def give_way(*, cores: tuple[int, ...] = tuple(CORES), nice: int = 10, own_session: bool = False) -> dict:
    """What a fresh process achieved, and what the kernel says of it."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(cores), str(nice)],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=own_session,
    )
    return json.loads(ran.stdout)


def test_it_says_what_the_kernel_really_does() -> None:
    found = give_way()
    assert (found["nice"], found["cores"], found["batch"]) == tuple(
        found["really"][key] for key in ("nice", "cores", "batch")
    )
    assert found["nice"] >= 10
    assert sorted(found["cores"] + found["free"]) == CORES


def test_threads_started_later_inherit_it_and_earlier_ones_do_not() -> None:
    found = give_way()
    assert found["later"] == [found["nice"], len(found["cores"])]
    assert found["earlier"] == [os.getpriority(os.PRIO_PROCESS, 0), len(CORES)]


def test_a_single_processor_is_shared() -> None:
    found = give_way(cores=(CORES[0],))
    assert found["cores"] == CORES[:1]
    assert found["free"] == []


def test_session_gives_way_only_where_it_is_its_own() -> None:
    shared, own = give_way(), give_way(own_session=True)
    assert shared["session_nice"] is None
    if own["autogroup"] is None:
        assert own["session_nice"] is None
    else:
        assert own["session_nice"] == 10
        assert own["autogroup"].rstrip().endswith("nice 10")


def test_a_higher_nice_value_stays() -> None:
    assert give_way(nice=0)["nice"] == os.getpriority(os.PRIO_PROCESS, 0)


def test_it_says_so_in_one_sentence() -> None:
    way = InferencePriority(nice=10, session_nice=10, batch=True, cores=(0, 1, 2), free_cores=(3,))
    assert str(way) == (
        "inference runs on processor 0, 1, 2, leaves processor 3 free, nice 10 (its session 10), batch policy"
    )
    assert way.threads == 3
    alone = InferencePriority(nice=10, session_nice=None, batch=False, cores=(0,), free_cores=())
    assert str(alone) == "inference runs on processor 0, leaves no processor free, nice 10"


def write_topology(folder: Path, siblings: dict[int, str]) -> None:
    for cpu, listed in siblings.items():
        path = folder / f"cpu{cpu}/topology/thread_siblings_list"
        path.parent.mkdir(parents=True)
        path.write_text(listed + "\n")


@pytest.mark.parametrize(
    ("siblings", "allowed", "left"),
    [
        ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, [0, 1, 2, 3], (1, 3)),  # two cores of two threads
        ({0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}, [0, 1, 2, 3], (2, 3)),  # numbered the other way
        ({0: "0-1", 1: "0-1"}, [0, 1], (1,)),  # one core of two threads
        ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, [0, 1], (1,)),  # a container that may use half of each
        ({}, [0, 1, 2], (2,)),  # the kernel does not say
        ({}, [5], ()),
    ],
)
def test_a_whole_core_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, siblings: dict[int, str], allowed: list[int], left: tuple[int, ...]
) -> None:
    write_topology(tmp_path, siblings)
    monkeypatch.setattr(inference_priority, "_CPUS", tmp_path)
    assert inference_priority._core_to_leave(allowed) == left


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=64, unique=True).map(sorted))
def test_something_is_left_for_inference_and_for_control(allowed: list[int]) -> None:
    left = inference_priority._core_to_leave(allowed)
    assert set(left) < set(allowed)
    assert bool(left) == (len(allowed) > 1)


def test_what_a_container_forbids_is_told_and_the_rest_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    affinity, nice = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)

    def forbid(pid: int, policy: int, parameter: os.sched_param) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", forbid)
    monkeypatch.setattr(os, "setpriority", lambda which, who, value: None)
    try:
        way = give_way_to_control(nice)
    finally:
        os.sched_setaffinity(0, affinity)
    assert not way.batch
    assert way.nice == nice
