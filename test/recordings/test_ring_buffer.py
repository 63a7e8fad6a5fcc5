"""The ring buffer keeps what is young enough and fits, and what still holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.errors import ConfigurationError
from dvla_ros.recordings.received_message import ReceivedMessage
from dvla_ros.recordings.ring_buffer import RingBuffer

S = 1_000_000_000


def message(second, size=10, topic="/joints", latched=False):
    return ReceivedMessage(topic, "std_msgs/msg/String", int(second * S), bytes(size), latched)


def test_older_messages_go():
    ring = RingBuffer(keep_s=2.0, most_bytes=10_000)
    for i in range(10):
        ring.add(message(i))
    assert [m.received_ns // S for m in ring.copy()] == [7, 8, 9]
    assert (ring.span_s, ring.bytes, len(ring)) == (2.0, 30, 3)


def test_larger_messages_are_kept_for_a_shorter_time():
    ring = RingBuffer(keep_s=100.0, most_bytes=35)
    for i in range(10):
        ring.add(message(i))
    assert [m.received_ns // S for m in ring.copy()] == [7, 8, 9]


def test_a_message_larger_than_all_is_kept_alone():
    ring = RingBuffer(keep_s=100.0, most_bytes=35)
    ring.add(message(0))
    ring.add(message(1, size=99))
    assert [len(m.data) for m in ring.copy()] == [99]


def test_what_held_before_begins_every_copy_with_the_time_of_the_oldest_message():
    ring = RingBuffer(keep_s=2.0, most_bytes=10_000)
    ring.add(message(0, 1, "/instruction", latched=True))
    ring.add(message(0.5, 2, "/instruction", latched=True))
    ring.add(message(0.6, 3, "/policy_info", latched=True))
    for i in range(1, 10):
        ring.add(message(i))
    ring.add(message(9.5, 4, "/instruction", latched=True))
    copy = [(m.topic, m.received_ns, len(m.data)) for m in ring.copy()]
    assert copy[:2] == [("/instruction", 8 * S, 2), ("/policy_info", 8 * S, 3)]
    assert copy[-1] == ("/instruction", int(9.5 * S), 4) and len(copy) == 5


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50), st.booleans()), max_size=60))
def test_it_never_grows_and_always_ends_with_the_newest(steps):
    ring, now = RingBuffer(keep_s=5.0, most_bytes=200), 0.0
    for step, size, latched in steps:
        now += step
        newest = message(now, size, f"/{size % 3}", latched)
        ring.add(newest)
        copy = ring.copy()
        assert copy[-1] is newest
        assert ring.bytes == sum(len(m.data) for m in list(copy)[-len(ring) :]) <= 200
        assert ring.span_s <= 5.0 + 1e-6
        assert [m.received_ns for m in copy] == sorted(m.received_ns for m in copy)


@pytest.mark.parametrize("limits", [(0.0, 10), (1.0, 0)])
def test_limits_must_be_positive(limits):
    with pytest.raises(ConfigurationError, match="above 0"):
        RingBuffer(*limits)
