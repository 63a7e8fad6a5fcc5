"""Sources that are laid over each other."""

import pytest
import torch

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.tensor_source import HeldTensors, Overlaid, Renamed

BELOW = HeldTensors({"a": torch.zeros(2), "b": torch.zeros(3, dtype=torch.float64)})
ABOVE = HeldTensors({"x.b": torch.ones(4), "x.c": torch.ones(5)})


def test_what_lies_above_counts():
    both = Overlaid(BELOW, Renamed(ABOVE, {"b": "x.b", "c": "x.c"}))
    assert both.names == {"a", "b", "c"}
    assert [both.shape(name) for name in "abc"] == [(2,), (4,), (5,)]
    assert both.dtype("b") == torch.float32
    assert torch.equal(both.read("b"), torch.ones(4)) and torch.equal(both.read("a"), torch.zeros(2))


def test_a_name_that_the_source_lacks_is_refused():
    with pytest.raises(CheckpointError, match=r"has no tensors \['x.d'\]"):
        Renamed(ABOVE, {"b": "x.b", "d": "x.d"})


def test_held_tensors_are_read_as_contiguous_copies():
    held = HeldTensors({"a": torch.arange(6.0).reshape(2, 3).T})
    read = held.read("a")
    assert read.is_contiguous() and torch.equal(read, held.tensors["a"])
    read.zero_()
    assert held.tensors["a"].any()
