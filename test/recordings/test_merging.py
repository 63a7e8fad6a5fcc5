"""Parts that overlap come in one order, and none is opened before its time."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.recordings.merging import in_order
from dvla_ros.recordings.storage import Stored

TIMES = st.lists(st.lists(st.integers(0, 50), max_size=6).map(sorted), max_size=6)


def parts(times, opened):
    def begin(number, part):
        opened.append(number)
        yield from (Stored(time, str(number), bytes([index])) for index, time in enumerate(part))

    return [(part[0], partial(begin, number, part)) for number, part in enumerate(times) if part]


@given(TIMES)
def test_all_messages_come_once_in_order_of_time_then_of_parts(times):
    everything = [(time, str(number), index) for number, part in enumerate(times) for index, time in enumerate(part)]
    found = [(one.received_ns, one.topic, one.data[0]) for one in in_order(parts(times, []))]
    assert found == sorted(everything)


def test_a_part_is_opened_when_its_time_has_come():
    opened = []
    messages = in_order(parts([[10, 20], [15], [40]], opened))
    assert opened == [] and next(messages).received_ns == 10 and opened == [0]
    assert next(messages).received_ns == 15 and opened == [0, 1]
    assert next(messages).received_ns == 20 and 2 not in opened
    assert next(messages).received_ns == 40 and next(messages, None) is None
