"""What waits to be drawn is bounded, and old pictures do not wait."""

import threading

from dvla_ros.view.backlog import Backlog, Waiting


def test_of_a_picture_only_the_newest_waits():
    backlog = Backlog()
    for index in range(5):
        backlog.put(Waiting("/front", index, float(index)), replaceable=True)
    assert backlog.take().message == 4
    assert backlog.dropped == 4


def test_chunks_come_in_order_and_before_pictures():
    backlog = Backlog()
    backlog.put(Waiting("/front", "picture", 0.0), replaceable=True)
    backlog.put(Waiting("/chunk", 1, 0.0), replaceable=False)
    backlog.put(Waiting("/chunk", 2, 0.0), replaceable=False)
    assert [backlog.take().message for _ in range(3)] == [1, 2, "picture"]


def test_it_never_holds_more_than_its_capacity():
    backlog = Backlog(capacity=3)
    for index in range(10):
        backlog.put(Waiting("/chunk", index, 0.0), replaceable=False)
    assert [backlog.take().message for _ in range(3)] == [7, 8, 9]
    assert backlog.dropped == 7


def test_closing_wakes_whoever_waits():
    backlog = Backlog()
    taken = []
    thread = threading.Thread(target=lambda: taken.append(backlog.take()))
    thread.start()
    backlog.close()
    thread.join(5.0)
    assert taken == [None]
