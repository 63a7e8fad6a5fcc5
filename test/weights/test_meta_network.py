"""A network without memory for its parameters."""

import threading

import torch
from torch import nn

from dvla_ros.weights.meta_network import on_meta


def test_parameters_are_on_the_meta_device_and_buffers_are_real(make_network):
    network = on_meta(make_network)
    assert all(parameter.is_meta for parameter in network.parameters())
    assert torch.equal(network.table, torch.arange(5.0)) and network.count == 7
    assert network.state_dict().keys() == make_network().state_dict().keys()


def test_tied_parameters_stay_tied(make_network):
    network = on_meta(make_network)
    assert network.head.weight is network.embed.weight


def test_one_parameter_given_to_two_modules_is_one_parameter():
    def factory():
        shared = nn.Parameter(torch.ones(3), requires_grad=False)
        modules = nn.ModuleList(nn.Module() for _ in range(2))
        for module in modules:
            module.weight = shared
        return modules

    first, second = on_meta(factory)
    assert first.weight is second.weight and first.weight.is_meta and not first.weight.requires_grad


def test_a_network_larger_than_any_memory_is_built():
    network = on_meta(lambda: nn.Sequential(*(nn.Linear(2**14, 2**14) for _ in range(1000))))
    assert sum(parameter.nbytes for parameter in network.parameters()) > 10**12


def test_networks_built_afterwards_and_in_other_threads_are_real():
    built = []

    def factory():
        thread = threading.Thread(target=lambda: built.append(nn.Linear(2, 2)))
        thread.start()
        thread.join()
        return nn.Linear(2, 2)

    assert on_meta(factory).weight.is_meta
    assert not built[0].weight.is_meta and not nn.Linear(2, 2).weight.is_meta


def test_networks_built_after_a_failure_are_real():
    try:
        on_meta(lambda: nn.Linear(-1, 2))
    except RuntimeError:
        pass
    assert not nn.Linear(2, 2).weight.is_meta


def test_buffers_drawn_while_building_have_their_random_values():
    def factory():
        layer = nn.Linear(2, 2)
        layer.register_buffer("noise", nn.init.normal_(torch.empty(50)))
        layer.register_buffer("other", torch.zeros(50).normal_())
        nn.init.normal_(layer.weight)
        layer.weight.data.normal_()
        return layer

    layer = on_meta(factory)
    assert layer.weight.is_meta and 0.5 < layer.noise.std() < 1.5 and 0.5 < layer.other.std() < 1.5
