"""What is written is what others read, complete or not at all."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.weights.safetensors_header import DTYPES
from dvla_ros.weights.streaming import load_into, on_meta
from dvla_ros.weights.tensor_files import TensorFiles
from dvla_ros.weights.writing import TensorToWrite, write_sharded, write_tensors


def to_write(name, tensor):
    return TensorToWrite(name, tuple(tensor.shape), tensor.dtype, lambda: tensor)


def test_a_network_is_written_in_its_published_form(make_network, located, published_form, tmp_path):
    network = make_network()
    files = write_sharded(tmp_path / "new" / "checkpoint", network, located)
    assert [path.name for path in files] == ["model.safetensors"]
    tensors, expected = load_file(files[0]), published_form(network)
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in expected.items())
    with safe_open(files[0], "pt") as file:
        assert file.metadata() == {"format": "pt"}


@pytest.mark.parametrize("shard_bytes", [1, 200, 10**6])
@pytest.mark.parametrize("tied", [True, False])
def test_what_is_written_is_loaded_again(make_network, located, tmp_path, shard_bytes, tied):
    original = make_network(tied=tied)
    write_sharded(tmp_path, original, located, shard_bytes=shard_bytes)
    network = on_meta(lambda: make_network(tied=tied))
    load_into(network, TensorFiles.open(tmp_path), located, where=tmp_path)
    assert all(torch.equal(tensor, original.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_shards_have_the_published_names_and_an_index(make_network, located, published_form, tmp_path):
    network = make_network()
    files = write_sharded(tmp_path, network, located, shard_bytes=200)
    *shards, index = files
    count = len(shards)
    assert count > 2 and index.name == "model.safetensors.index.json"
    assert [p.name for p in shards] == [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]
    values = json.loads(index.read_text())
    expected = published_form(network)
    assert values["metadata"] == {"total_size": sum(tensor.nbytes for tensor in expected.values())}
    assert values["weight_map"] == {name: path.name for path in shards for name in load_file(path)}
    assert values["weight_map"].keys() == expected.keys()
    assert all(len(load_file(p)) == 1 or sum(t.nbytes for t in load_file(p).values()) <= 200 for p in shards)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files}


def test_numbers_are_converted_and_counts_are_not(make_network, located, tmp_path):
    write_sharded(tmp_path, make_network(), located, dtype=torch.bfloat16)
    files = TensorFiles.open(tmp_path)
    assert {files.dtype(name) for name in files.names - {"model.count"}} == {torch.bfloat16}
    assert files.dtype("model.count") == torch.int64


def test_tensors_that_are_not_the_networks_are_written_too(make_network, located, tmp_path):
    write_sharded(tmp_path, make_network(), located, extra=[to_write("vision.attn_pool.latent", torch.ones(2, 3))])
    assert torch.equal(TensorFiles.open(tmp_path).read("vision.attn_pool.latent"), torch.ones(2, 3))


def test_every_type_is_written_so_that_safetensors_reads_it(tmp_path):
    tensors = {name: (torch.arange(15) % 2).to(dtype).reshape(5, 3) for name, dtype in DTYPES.items()}
    tensors |= {"scalar": torch.tensor(1.5), "empty": torch.zeros(0, 2), "turned": torch.arange(6.0).reshape(2, 3).T}
    write_tensors(tmp_path, [to_write(name, tensor) for name, tensor in tensors.items()])
    read = load_file(tmp_path / "model.safetensors")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name].double(), tensor.double())


def test_another_stem(tmp_path):
    files = write_tensors(
        tmp_path, [to_write("a", torch.ones(1)), to_write("b", torch.ones(1))], shard_bytes=4, stem="vq"
    )
    assert [path.name for path in files] == [
        "vq-00001-of-00002.safetensors",
        "vq-00002-of-00002.safetensors",
        "vq.safetensors.index.json",
    ]


def test_tensors_are_made_one_at_a_time(tmp_path):
    alive = []

    def make():
        tensor = torch.ones(100)
        alive.append(torch.utils.weak.WeakTensorKeyDictionary({tensor: None}))
        assert sum(len(each) for each in alive) == 1
        return tensor

    write_tensors(tmp_path, [TensorToWrite(str(i), (100,), torch.float32, make) for i in range(6)], shard_bytes=800)
    assert len(alive) == 6


@pytest.mark.parametrize("shard_bytes", [4, 100])
def test_a_folder_that_holds_weights_is_not_written_to(tmp_path, shard_bytes):
    tensors = [to_write("a", torch.ones(1)), to_write("b", torch.ones(1))]
    write_tensors(tmp_path, tensors, shard_bytes=shard_bytes)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for other in (4, 100):
        with pytest.raises(CheckpointError, match="holds weights already .* name another folder"):
            write_tensors(tmp_path, tensors, shard_bytes=other)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_interrupted_writing_leaves_nothing(tmp_path):
    def fail():
        raise KeyboardInterrupt

    tensors = [to_write("a", torch.ones(1)), TensorToWrite("b", (1,), torch.float32, fail)]
    with pytest.raises(KeyboardInterrupt):
        write_tensors(tmp_path, tensors, shard_bytes=4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([], "At least one tensor"),
        ([to_write("__metadata__", torch.ones(1))], "At least one tensor is needed and none may be called"),
        ([to_write("a", torch.ones(1))] * 2, r"\['a'\] are to be written twice"),
        ([to_write("a", torch.ones(1, dtype=torch.complex64))], r"No safetensors type for \['a"),
        ([TensorToWrite("a", (2,), torch.float32, lambda: torch.ones(3))], r"announced as \[2\]"),
        ([TensorToWrite("a", (2,), torch.float32, lambda: torch.ones(2).half())], "but is .* torch.float16"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_left(tmp_path, tensors, message):
    with pytest.raises(ConfigurationError, match=message):
        write_tensors(tmp_path / "new", tensors)
    assert not list(tmp_path.glob("new/*"))


def test_a_network_without_values_is_refused(make_network, located, tmp_path):
    with pytest.raises(ConfigurationError, match="are on the meta device and have no values"):
        write_sharded(tmp_path, on_meta(make_network), located)
