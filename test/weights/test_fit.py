"""What of a checkpoint does not fit a network, by published names."""

import pytest
import torch
from torch import nn

from dvla_ros.errors import ConfigurationError
from dvla_ros.weights.fit import FitProblems, expected_tensors, fit_problems
from dvla_ros.weights.meta_network import on_meta
from dvla_ros.weights.names import Location
from dvla_ros.weights.tensor_source import HeldTensors


def test_what_a_network_needs_is_what_is_published(make_network, located, published_form):
    network = make_network()
    expected = expected_tensors(network, located)
    tensors = published_form(network)
    assert {name: each.shape for name, each in expected.items()} == {n: tuple(t.shape) for n, t in tensors.items()}
    assert expected["model.blocks.0.qkv.bias"].own == ("blocks.0.q.bias", "blocks.0.k.bias", "blocks.0.v.bias")
    assert not expected["model.count"].floating
    assert not fit_problems(HeldTensors(tensors), expected)


def test_a_network_on_the_meta_device_needs_the_same(make_network, located):
    expected = expected_tensors(make_network(), located)
    assert expected_tensors(on_meta(make_network), located) == expected


def test_splitting_and_joining_are_inverse(make_network, located, published_form):
    network = make_network()
    for name, each in expected_tensors(network, located).items():
        tensor = published_form(network)[name]
        pieces = each.split(tensor)
        assert [tuple(piece.shape) for piece in pieces] == [tuple(network.state_dict()[own].shape) for own in each.own]
        assert torch.equal(each.join(list(pieces)), tensor)


def test_each_kind_of_problem_is_told_by_name(make_network, located, published_form):
    network = make_network()
    tensors = published_form(network)
    del tensors["model.project.bias"]
    tensors["model.extra"] = torch.ones(1)
    tensors["model.embed.weight"] = torch.ones(9, 4)
    tensors["model.blocks.1.norm.bias"] = torch.ones(4, dtype=torch.int8)
    problems = fit_problems(HeldTensors(tensors), expected_tensors(network, located))
    assert problems == FitProblems(
        missing=("model.project.bias",),
        unexpected=("model.extra",),
        misshapen=("model.embed.weight is [9, 4], needs [10, 4]",),
        wrong_type=("model.blocks.1.norm.bias is torch.int8",),
    )
    assert str(problems).startswith("1 missing (model.project.bias); 1 unexpected (model.extra); 1 of another shape (")


def test_a_convolution_without_its_trailing_dimensions_is_misshapen(make_network, located, published_form):
    network = make_network()
    tensors = published_form(network)
    tensors["model.project.weight"] = tensors["model.project.weight"].flatten(1)
    problems = fit_problems(HeldTensors(tensors), expected_tensors(network, located))
    assert problems.misshapen == ("model.project.weight is [3, 4], needs [3, 4, 1, 1]",)


def test_ten_names_of_a_kind_are_listed_and_the_rest_counted():
    problems = FitProblems(missing=tuple(f"name{i}" for i in range(12)))
    assert str(problems) == f"12 missing ({', '.join(f'name{i}' for i in range(10))} and 2 more)"


def test_optional_ignored_and_tied_names(make_network, located, published_form):
    network = make_network(tied=False)
    expected = expected_tensors(network, located)
    tensors = published_form(network, tied=True) | {"model.rotary.inv_freq": torch.ones(2)}
    del tensors["model.count"]
    assert fit_problems(HeldTensors(tensors), expected) == FitProblems(
        missing=("model.count", "model.head.weight"), unexpected=("model.rotary.inv_freq",)
    )
    allowed = {"optional": ["model.count"], "tied": {"model.head.weight": "model.embed.weight"}}
    assert not fit_problems(HeldTensors(tensors), expected, ignored=[r".*\.inv_freq"], **allowed)
    assert fit_problems(HeldTensors(tensors), expected, ignored=[r"inv_freq"], **allowed).unexpected


def test_a_tied_name_that_is_there_all_the_same_is_known(make_network, located, published_form):
    network = make_network()
    tensors = published_form(network, tied=False)
    expected = expected_tensors(network, located)
    assert fit_problems(HeldTensors(tensors), expected).unexpected == ("model.head.weight",)
    assert not fit_problems(HeldTensors(tensors), expected, tied={"model.head.weight": "model.embed.weight"})


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (lambda name: Location("all"), "are both located at"),
        (lambda name: Location(name, part=1, parts=2), "has 2 parts, but the network uses"),
        (lambda name: Location("all", part=["weight", "bias"].index(name), parts=2), "have different shapes"),
    ],
)
def test_wrong_locations_are_a_fault_of_ours(place, message):
    with pytest.raises(ConfigurationError, match=message):
        expected_tensors(nn.Linear(2, 3), place)
