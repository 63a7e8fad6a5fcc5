"""A header that contradicts itself or its file is refused before anything else is read."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.safetensors_header import DTYPES, HEADER_LIMIT, read_header


def entry(dtype="F32", shape=(2, 3), offsets=(0, 24)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.fixture
def write(tmp_path):
    def write(header, data=bytes(24), length=None):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path = tmp_path / "model.safetensors"
        path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
        return path

    return write


def test_the_header_of_a_file_written_by_safetensors(tmp_path):
    tensors = {str(dtype): torch.zeros(3, 2, dtype=dtype) for dtype in DTYPES.values()}
    tensors |= {"scalar": torch.tensor(1.0), "empty": torch.zeros(0, 4)}
    save_file(tensors, tmp_path / "m.safetensors", metadata={"format": "pt"})
    stored = read_header(tmp_path / "m.safetensors")
    assert {name: (each.dtype, each.shape, each.nbytes) for name, each in stored.items()} == {
        name: (tensor.dtype, tuple(tensor.shape), tensor.nbytes) for name, tensor in tensors.items()
    }


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"not json", "not valid JSON"),
        (b"[]", "must hold a JSON object"),
        ({"a": 1}, "needs dtype, shape and data_offsets, got 1"),
        ({"a": {"dtype": "F32", "shape": [2, 3]}}, "needs dtype, shape and data_offsets"),
        ({"a": entry(dtype="F4")}, "has the type 'F4'; this version reads F64"),
        ({"a": entry(dtype=["F32"])}, "has the type"),
        ({"a": entry(shape=(2, -3))}, "has the shape"),
        ({"a": entry(shape=(2, 3.0))}, "has the shape"),
        ({"a": entry(shape=(True, 6))}, "has the shape"),
        ({"a": entry(shape=[1] * 65 + [6])}, "has the shape"),
        ({"a": entry(offsets=(-24, 0))}, "has the offsets"),
        ({"a": entry(offsets=(24, 0))}, "has the offsets"),
        ({"a": entry(offsets=(0, 24, 24))}, "has the offsets"),
        ({"a": entry(shape=(2, 4))}, "has 24 bytes, but F32 .* needs 32"),
        ({"a": entry(offsets=(0, 2**63 + 1))}, "has the offsets"),
        ({"a": entry(shape=(2**62, 4), offsets=(0, 0))}, "too large for any memory"),
        ({"a": entry(shape=(0, 2**62, 2**62), offsets=(0, 0))}, "too large for any memory"),
        ({"a": entry(), "b": entry(shape=(5,), offsets=(4, 24))}, "tensor 'b' overlaps the one before it"),
        ({"a": entry(shape=(1,), offsets=(0, 4)), "b": entry(shape=(4,), offsets=(8, 24))}, "'b' leaves a gap"),
        ({"a": entry(shape=(5,), offsets=(4, 24))}, "'a' leaves a gap"),
        ({"a": entry(shape=(5,), offsets=(0, 20))}, "has 4 bytes behind its last tensor"),
        ({"a": entry(shape=(7,), offsets=(0, 28))}, "is truncated: its tensors end at byte"),
        ({"__metadata__": "pt", "a": entry()}, "__metadata__ is not a JSON object"),
    ],
)
def test_a_wrong_header_is_refused(write, header, message):
    with pytest.raises(CheckpointError, match=message):
        read_header(write(header))


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (2**64 - 1, f"claims a header of {2**64 - 1} bytes, more than {HEADER_LIMIT}"),
        (HEADER_LIMIT + 1, "more than"),
        (1000, "is truncated: its header has 1000 bytes, the whole file"),
    ],
)
def test_a_gigantic_header_is_refused_unread(write, length, message):
    with pytest.raises(CheckpointError, match=message):
        read_header(write({"a": entry()}, length=length))


def test_a_key_given_twice_is_refused(write):
    one = json.dumps(entry())
    with pytest.raises(CheckpointError, match="occurs twice"):
        read_header(write(f'{{"a": {one}, "a": {one}}}'.encode()))


@pytest.mark.parametrize("size", [0, 7])
def test_a_file_shorter_than_any_header_is_refused(tmp_path, size):
    (tmp_path / "m.safetensors").write_bytes(bytes(size))
    with pytest.raises(CheckpointError, match="is truncated"):
        read_header(tmp_path / "m.safetensors")


@given(place=st.integers(8, 200), byte=st.integers(0, 255))
def test_whatever_byte_of_a_header_is_wrong_the_tensors_stay_in_the_file(tmp_path_factory, place, byte):
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.int16)}, path)
    data = bytearray(path.read_bytes())
    data[min(place, len(data) - 1)] = byte
    path.write_bytes(data)
    try:
        stored = read_header(path)
    except CheckpointError:
        return
    assert all(each.start + each.nbytes <= len(data) for each in stored.values())
