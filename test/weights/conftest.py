"""A network whose published form differs from ours in everything that a location can say, and a source that counts."""

import pytest
import torch
from torch import nn

from dvla_ros.weights.names import Location
from dvla_ros.weights.tensor_source import HeldTensors

torch.set_num_threads(1)  # small matrices: more threads only wait for each other


class Block(nn.Module):
    """Attention projections apart, where the published form has them in one."""

    def __init__(self, width):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.norm = nn.LayerNorm(width)


class Network(nn.Module):
    """Tied and untied parameters, a saved buffer and one that is computed."""

    def __init__(self, width=4, blocks=2, tied=True):
        super().__init__()
        self.embed = nn.Embedding(10, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.project = nn.Linear(width, 3)
        self.head = nn.Linear(width, 10, bias=False)
        if tied:
            self.head.weight = self.embed.weight
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("table", torch.arange(5.0), persistent=False)


def locate(name):
    """Projections are one tensor `qkv`, and `project` is a convolution of one pixel."""
    for part, letter in enumerate("qkv"):
        if f".{letter}." in name:
            return Location("model." + name.replace(f".{letter}.", ".qkv."), part=part, parts=3)
    return Location(f"model.{name}", trailing_ones=2 if name == "project.weight" else 0)


def published(network, tied=True):
    """The published tensors of a network, put together by hand."""
    tensors = {
        "model.embed.weight": network.embed.weight,
        "model.project.weight": network.project.weight[:, :, None, None],
        "model.project.bias": network.project.bias,
        "model.count": network.count,
    }
    for i, block in enumerate(network.blocks):
        layers = (block.q, block.k, block.v)
        tensors[f"model.blocks.{i}.qkv.weight"] = torch.cat([layer.weight for layer in layers])
        tensors[f"model.blocks.{i}.qkv.bias"] = torch.cat([layer.bias for layer in layers])
        tensors[f"model.blocks.{i}.norm.weight"] = block.norm.weight
        tensors[f"model.blocks.{i}.norm.bias"] = block.norm.bias
    if not tied:
        tensors["model.head.weight"] = network.head.weight
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


class Counted(HeldTensors):
    """Remembers what was read."""

    def __init__(self, tensors):
        super().__init__(tensors)
        object.__setattr__(self, "reads", [])

    def read(self, name):
        self.reads.append(name)
        return super().read(name)


@pytest.fixture
def make_network():
    def make(**sizes):
        network = Network(**sizes)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_()
        return network

    torch.manual_seed(0)
    return make


@pytest.fixture
def published_form():
    return published


@pytest.fixture
def located():
    return locate


@pytest.fixture
def counted():
    return Counted
