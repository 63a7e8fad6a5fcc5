"""Published tensors into a network: equal to the original, or refused before anything is read."""

import pytest
import torch
from torch import nn

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.weights.streaming import load_into, on_meta
from dvla_ros.weights.tensor_source import HeldTensors

TIED = {"model.head.weight": "model.embed.weight"}


def assert_equal(network, other, dtype=torch.float32):
    assert network.state_dict().keys() == other.state_dict().keys()
    for name, tensor in network.state_dict().items():
        kind = dtype if tensor.is_floating_point() else tensor.dtype
        assert tensor.dtype == kind and torch.equal(tensor, other.state_dict()[name].to(kind)), name


@pytest.mark.parametrize("tied", [True, False])
def test_a_meta_network_becomes_the_original(make_network, located, published_form, counted, tied):
    original = make_network(tied=tied)
    source = counted(published_form(original, tied=tied))
    network = on_meta(lambda: make_network(tied=tied))
    load_into(network, source, located, where="test")
    assert_equal(network, original)
    assert (network.head.weight is network.embed.weight) == tied
    assert sorted(source.reads) == sorted(source.names)
    assert torch.equal(network.table, original.table)


def test_parameters_are_parameters_without_gradient_and_buffers_are_buffers(make_network, located, published_form):
    network = on_meta(make_network)
    load_into(network, HeldTensors(published_form(make_network())), located, where="test")
    assert all(isinstance(p, nn.Parameter) and not p.requires_grad for p in network.parameters())
    assert dict(network.named_buffers()).keys() == {"count", "table"} and type(network.count) is torch.Tensor


def test_every_parameter_has_memory_of_its_own_and_no_more(make_network, located, published_form):
    network = on_meta(make_network)
    load_into(network, HeldTensors(published_form(make_network())), located, where="test")
    for parameter in network.parameters():
        assert parameter.untyped_storage().nbytes() == parameter.nbytes


def test_numbers_are_converted_and_counts_are_not(make_network, located, published_form):
    original = make_network()
    network = on_meta(make_network)
    load_into(network, HeldTensors(published_form(original)), located, dtype=torch.bfloat16, where="test")
    assert_equal(network, original, torch.bfloat16)
    assert network.count.dtype == torch.int64 and network.table.dtype == torch.float32


def test_the_type_of_the_checkpoint_is_kept_by_default(make_network, located, published_form):
    tensors = {n: t.half() if t.is_floating_point() else t for n, t in published_form(make_network()).items()}
    network = on_meta(make_network)
    load_into(network, HeldTensors(tensors), located, where="test")
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float16}


def test_a_network_that_is_no_longer_tied_reads_the_one_tensor_twice_into_the_same_memory(
    make_network, located, published_form, counted
):
    source = counted(published_form(make_network()))
    network = on_meta(lambda: make_network(tied=False))
    load_into(network, source, located, tied=TIED, where="test")
    assert torch.equal(network.head.weight, source.tensors["model.embed.weight"])
    assert network.head.weight.data_ptr() == network.embed.weight.data_ptr()
    assert source.reads.count("model.embed.weight") == 1


def test_only_the_other_of_two_tied_tensors_was_kept(make_network, located, published_form):
    tensors = published_form(make_network())
    tensors["model.head.weight"] = tensors.pop("model.embed.weight")
    network = on_meta(make_network)
    load_into(network, HeldTensors(tensors), located, tied={"model.embed.weight": "model.head.weight"}, where="test")
    assert torch.equal(network.embed.weight, tensors["model.head.weight"])


def test_a_network_that_is_not_on_the_meta_device_is_overwritten(make_network, located, published_form):
    original, network = make_network(), make_network()
    assert not torch.equal(original.embed.weight, network.embed.weight)
    load_into(network, HeldTensors(published_form(original)), located, where="test")
    assert_equal(network, original)


def test_all_problems_are_told_before_anything_is_read(make_network, located, published_form, counted):
    tensors = published_form(make_network())
    del tensors["model.count"], tensors["model.project.bias"]
    tensors |= {f"vision.{i}": torch.ones(1) for i in range(12)}
    tensors["model.embed.weight"] = torch.ones(9, 4)
    source = counted(tensors)
    network = on_meta(make_network)
    with pytest.raises(CheckpointError) as caught:
        load_into(network, source, located, where="/checkpoints/mine")
    message = str(caught.value)
    assert message.startswith("/checkpoints/mine does not fit the network: 2 missing (model.count, model.project.bias)")
    assert "12 unexpected (vision.0" in message and "and 2 more" in message and "needs [10, 4]" in message
    assert "Check that config.json belongs to these weights" in message
    assert source.reads == [] and network.embed.weight.is_meta


def test_names_that_are_known_and_unused_are_not_read(make_network, located, published_form, counted):
    source = counted(published_form(make_network()) | {"vision.attn_pool.latent": torch.ones(1)})
    load_into(on_meta(make_network), source, located, ignored=[r"vision\.attn_pool\..*"], where="test")
    assert "vision.attn_pool.latent" not in source.reads


def test_a_computed_buffer_without_values_is_refused(make_network, located, published_form, counted):
    source = counted(published_form(make_network(tied=False), tied=False))
    with pytest.raises(ConfigurationError, match=r"\['table'\] are on the meta device and in no checkpoint"):
        load_into(make_network(tied=False).to("meta"), source, located, where="test")
    assert source.reads == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_network_goes_to_the_gpu(make_network, located, published_form):
    original = make_network()
    network = on_meta(make_network)
    load_into(network, HeldTensors(published_form(original)), located, device="cuda", where="test")
    assert {tensor.device.type for tensor in [*network.parameters(), *network.buffers()]} == {"cuda"}
    assert_equal(network.cpu(), original)
