"""Statistics in a pickle are read; nothing that a pickle names is called."""

import collections
import os
import pickle

import numpy as np
import pytest

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.restricted_pickle import read_array_pickle


def statistics():
    rng = np.random.default_rng(0)
    return {
        "action_mean": rng.normal(size=14).astype(np.float32),
        "action_std": rng.normal(size=(2, 7)),
        "columns": np.asfortranarray(rng.normal(size=(3, 4))),
        "example_qpos": np.arange(6, dtype=np.int64).reshape(2, 3),
        "big_endian": np.arange(3, dtype=">f4"),
        "mask": np.array([True, False]),
        "scalar": np.float32(0.5),
        "number": 2.5,
        "count": 3,
    }


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.fixture
def write(tmp_path):
    def write(values, protocol=4):
        path = tmp_path / "dataset_stats.pkl"
        path.write_bytes(values if isinstance(values, bytes) else pickle.dumps(values, protocol=protocol))
        return path

    return write


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_arrays_of_every_protocol_are_read(write, protocol):
    values = statistics()
    read = read_array_pickle(write(values, protocol))
    assert read.keys() == values.keys()
    for name, value in values.items():
        assert isinstance(read[name], np.ndarray) and read[name].dtype.isnative
        np.testing.assert_array_equal(read[name], value)


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_arrays_written_by_numpy_1_and_2_are_read(write, core):
    data = pickle.dumps({"a": np.arange(3.0)}, protocol=2).replace(b"numpy._core", core).replace(b"numpy.core", core)
    np.testing.assert_array_equal(read_array_pickle(write(data))["a"], np.arange(3.0))


def test_an_ordered_dictionary_is_read(write):
    values = collections.OrderedDict(a=np.ones(2))
    np.testing.assert_array_equal(read_array_pickle(write(values))["a"], np.ones(2))


def test_a_command_in_the_file_is_not_run_and_is_named(write, tmp_path):
    path = write({"action_mean": Calls(os.system, f"touch {tmp_path / 'run'}")})
    with pytest.raises(CheckpointError, match=r"it asks for posix.system, which was not run"):
        read_array_pickle(path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(eval, ("1",)), (getattr, (1, "real")), (np.load, ("x",)), (np.frombuffer, (b"12345678",)), (bytearray, (10,))],
)
def test_every_other_function_is_refused(write, function, arguments):
    with pytest.raises(CheckpointError, match=f"it asks for .*{function.__name__}"):
        read_array_pickle(write({"a": Calls(function, *arguments)}))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([object], dtype=object), "only numbers are read|asks for builtins.object"),
        (np.array(["text"]), "only numbers are read"),
        (np.zeros(2, dtype=[("a", "f4")]), "only numbers are read"),
        ("text", "'a' is str"),
        ({"b": np.ones(1)}, "'a' is dict"),
        (None, "'a' is NoneType"),
        (10**400, "too large"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(write, value, message):
    with pytest.raises(CheckpointError, match=message):
        read_array_pickle(write({"a": value}))


def array_pickle(kind="f8", order="<", shape=(1,), data=bytes(8), structure=(None, None, None)):
    """The pickle of an array whose parts are chosen freely, as a hostile file would."""

    class Raw:
        def __init__(self, state):
            self.state = state

    class Dtype(Raw):
        def __reduce__(self):
            return np.dtype, (kind, False, True), (3, order, *structure, -1, -1, 0)

    class Array(Raw):
        def __reduce__(self):
            make = np.zeros(1).__reduce__()
            return make[0], make[1], (1, shape, Dtype(()), False, data)

    return pickle.dumps({"a": Array(())}, protocol=4)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"shape": (2,)}, "cannot have 8 bytes"),
        ({"shape": (-1,)}, "has the shape"),
        ({"shape": (2**70, 0), "data": b""}, "refused"),
        ({"shape": "x"}, "contents are not bytes"),
        ({"data": [1.0]}, "contents are not bytes"),
        ({"kind": "O8"}, "only numbers are read"),
        ({"kind": "V8"}, "only numbers are read"),
        ({"order": "!"}, "only numbers are read"),
        ({"structure": (None, ("x",), {"x": 1})}, "only numbers are read"),
        ({"kind": "b1", "data": b"\x02"}, "truth values"),
    ],
)
def test_an_array_whose_parts_contradict_each_other_is_refused(write, parts, message):
    assert read_array_pickle(write(array_pickle()))["a"] == 0.0
    with pytest.raises(CheckpointError, match=message):
        read_array_pickle(write(array_pickle(**parts)))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x04", b"garbage", pickle.dumps([1]), pickle.dumps({1: 2}), pickle.dumps(np.ones(2))[:-10]],
)
def test_what_is_no_dictionary_of_arrays_is_refused(write, data):
    with pytest.raises(CheckpointError, match="was refused"):
        read_array_pickle(write(data))


def test_an_array_without_contents_is_refused(write):
    with pytest.raises(CheckpointError, match="no contents"):
        read_array_pickle(write({"a": Calls(*np.zeros(1).__reduce__()[:1], *np.zeros(1).__reduce__()[1])}))


def test_a_file_that_claims_gigantic_memory_is_refused(write):
    with pytest.raises(CheckpointError, match="objects in mind"):
        read_array_pickle(write(b"\x80\x04}r\xff\xff\xff\x7f."))


def test_a_long_file_is_refused_unread(tmp_path):
    path = tmp_path / "dataset_stats.pkl"
    path.write_bytes(pickle.dumps(statistics()))
    with pytest.raises(CheckpointError, match="longer than 100 bytes"):
        read_array_pickle(path, size_limit=100)


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="has no file dataset_stats.pkl"):
        read_array_pickle(tmp_path / "dataset_stats.pkl")
