"""Garbage is collected by the loop, when there is time, and not otherwise."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from dvla_ros.control.garbage import GarbageByHand

PLENTY_S = 10.0


@pytest.fixture(autouse=True)
def _restore_collector() -> Iterator[None]:
    yield
    gc.enable()


class Node:
    """An object that can be part of a cycle and be watched."""

    def __init__(self) -> None:
        self.itself = self


def make_garbage(cycles: int = 2000) -> "weakref.ref[Node]":
    """Unreachable cycles; a reference that is dead once they were collected."""
    watched = weakref.ref(Node())
    for _ in range(cycles):
        Node()
    return watched


@pytest.fixture
def garbage() -> Iterator[GarbageByHand]:
    garbage = GarbageByHand()
    garbage.begin()
    yield garbage
    garbage.end()


def test_nothing_is_collected_by_itself(garbage: GarbageByHand) -> None:
    watched = make_garbage()
    assert watched() is not None


def test_due_garbage_is_collected_when_there_is_time(garbage: GarbageByHand) -> None:
    watched = make_garbage()
    garbage.collect_within(PLENTY_S)
    assert watched() is None
    assert garbage.collections == 1
    assert garbage.longest_s > 0.0


def test_nothing_is_collected_without_time_or_need(garbage: GarbageByHand) -> None:
    garbage.collect_within(PLENTY_S)
    watched = make_garbage()
    garbage.collect_within(0.0)
    assert watched() is not None
    assert garbage.collections == 0


def test_new_objects_are_collected_without_time_before_memory_fills(garbage: GarbageByHand) -> None:
    watched = make_garbage(60 * gc.get_threshold()[0])
    garbage.collect_within(0.0)
    assert watched() is None


def test_survivors_are_collected_by_an_older_generation(garbage: GarbageByHand) -> None:
    alive = Node()
    watched = weakref.ref(alive)
    make_garbage()
    garbage.collect_within(PLENTY_S)  # `alive` survives into the next generation
    del alive
    for _ in range(3 * gc.get_threshold()[1]):
        make_garbage()
        garbage.collect_within(PLENTY_S)
    assert watched() is None


def test_one_slow_collection_does_not_end_them_all(garbage: GarbageByHand) -> None:
    garbage._expected_s[0] = 0.5
    watched = make_garbage()
    for _ in range(1000):
        garbage.collect_within(0.01)
    assert watched() is None


def test_collector_is_automatic_again_after_the_last_loop() -> None:
    first, second = GarbageByHand(), GarbageByHand()
    first.begin()
    second.begin()
    first.end()
    first.end()
    assert not gc.isenabled()
    second.end()
    assert gc.isenabled()


def test_what_exists_at_the_start_is_out_of_reach_but_not_its_garbage() -> None:
    watched = make_garbage(10)
    garbage = GarbageByHand()
    garbage.begin()
    assert watched() is None
    assert gc.get_freeze_count() > 1000
    garbage.end()
