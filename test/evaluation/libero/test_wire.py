"""What is written into a pipe is read from it, and what is no message is refused."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dvla_ros.errors import SimulationError
from dvla_ros.evaluation.libero.wire import Message, read_message, write_message

TYPES = st.sampled_from([np.uint8, np.float32, np.float64])
ARRAYS = TYPES.flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
VALUES = st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.lists(st.text()))


def written(*messages):
    stream = io.BytesIO()
    for message in messages:
        write_message(stream, message)
    return stream.getvalue()


@given(st.text(), VALUES, st.dictionaries(st.text(), ARRAYS, max_size=3))
def test_a_message_arrives_as_it_was_sent(kind, values, arrays):
    stream = io.BytesIO(written(Message(kind, values, arrays), Message("next")))
    found = read_message(stream)
    assert (found.kind, found.values, set(found.arrays)) == (kind, values, set(arrays))
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
    assert read_message(stream) == Message("next")
    assert read_message(stream) is None


def test_a_view_from_behind_arrives_in_its_order():
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)[::-1, ::-1]
    found = read_message(io.BytesIO(written(Message("seen", arrays={"picture": picture}))))
    np.testing.assert_array_equal(found.arrays["picture"], picture)


def test_objects_are_not_sent():
    with pytest.raises(SimulationError, match="a is of object"):
        written(Message("x", arrays={"a": np.array([{}])}))


WHOLE = written(Message("x", arrays={"a": np.zeros(3)}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"robosuite WARNING: no macro file", "no message: b'robosuit'"),
        (b"dv", "no message: b'dv'"),
        (WHOLE[:-5], "5 bytes before its end"),
        (WHOLE[:10], "ended within a message"),
        (WHOLE.replace(b"float64", b"object0"), "an array of object0"),
        (WHOLE.replace(b'"arrays"', b'"errors"'), "KeyError"),
        (WHOLE.replace(b"[3]", b"[9]"), "ended within a message"),
    ],
)
def test_what_is_no_message_is_refused(data, message):
    with pytest.raises(SimulationError, match=message):
        read_message(io.BytesIO(data))
