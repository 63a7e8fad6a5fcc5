"""One file or shards with an index: what is there is read, what is wrong is listed."""

import json

import pytest
import torch
from safetensors.torch import save_file

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.safetensors_header import DTYPES
from dvla_ros.weights.tensor_files import TensorFiles

INDEX = "model.safetensors.index.json"
SHARDS = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
TENSORS = [{"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}, {"c": torch.zeros(2)}, {"d": torch.ones(1)}]


def write_index(folder, weight_map, name=INDEX):
    (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


@pytest.fixture
def sharded(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for shard, tensors in zip(SHARDS, TENSORS, strict=True):
        save_file(tensors, folder / shard)
    write_index(folder, weight_map())
    return folder


def weight_map(**changes):
    return {name: shard for shard, tensors in zip(SHARDS, TENSORS, strict=True) for name in tensors} | changes


def refused(folder, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        TensorFiles.open(folder)
    return str(caught.value)


def test_shards_are_one_source(sharded):
    files = TensorFiles.open(sharded)
    assert files.names == {"a", "b", "c", "d"}
    assert (files.shape("a"), files.dtype("a"), files.nbytes) == ((2, 3), torch.float32, 4 * 13)
    assert all(torch.equal(files.read(name), tensor) for tensors in TENSORS for name, tensor in tensors.items())


def test_every_type_is_read_as_safetensors_wrote_it(tmp_path):
    torch.manual_seed(0)
    tensors = {
        name: (torch.rand(5, 3) * 100).to(dtype) if dtype != torch.bool else torch.rand(5, 3) > 0.5
        for name, dtype in DTYPES.items()
    }
    tensors |= {"scalar": torch.tensor(7.0), "empty": torch.zeros(0, 4)}
    save_file(tensors, tmp_path / "model.safetensors")
    files = TensorFiles.open(tmp_path)
    for name, tensor in tensors.items():
        read = files.read(name)
        assert read.dtype == tensor.dtype and read.shape == tensor.shape
        assert torch.equal(read.double(), tensor.double())


def test_a_tensor_read_has_memory_of_its_own(sharded):
    files = TensorFiles.open(sharded)
    files.read("a").zero_()
    assert torch.equal(files.read("a"), TENSORS[0]["a"])
    assert files.read("a").untyped_storage().nbytes() == 4 * 6


def test_an_index_with_another_name_is_found(sharded):
    (sharded / INDEX).rename(sharded / "diffusion_model.safetensors.index.json")
    assert TensorFiles.open(sharded).names == {"a", "b", "c", "d"}


def test_a_tensor_that_the_index_forgot_is_there_all_the_same(sharded):
    forgetful = weight_map()
    del forgetful["b"]
    write_index(sharded, forgetful)
    assert "b" in TensorFiles.open(sharded).names


def test_no_folder(tmp_path):
    refused(tmp_path / "nowhere", "There is no checkpoint folder .*nowhere")


def test_a_folder_without_weights(tmp_path):
    refused(tmp_path, "has neither model.safetensors nor model.safetensors.index.json; it holds no weights at all")


def test_a_folder_with_other_weights_names_them(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    refused(tmp_path, r"it holds \['pytorch_model.bin'\]. .* save the weights as safetensors")


def test_several_sets_of_weights(sharded):
    write_index(sharded, weight_map(), "other.safetensors.index.json")
    refused(sharded, "holds several sets of weights")


def test_a_left_over_single_file_beside_shards(sharded):
    save_file({"a": torch.ones(1)}, sharded / "model.safetensors")
    refused(sharded, "holds both model.safetensors and the shards of .*; remove the one that is left over")


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"weight_map": {}}', '{"weight_map": ["a"]}'])
def test_a_broken_index(sharded, text):
    (sharded / INDEX).write_text(text)
    refused(sharded, "is not valid JSON|must hold a JSON object|has no weight_map")


@pytest.mark.parametrize(
    "shard", ["../other/model.safetensors", "/tmp/model.safetensors", "sub/model.safetensors", "..\\m.safetensors"]
)
def test_a_path_in_the_index_is_refused(sharded, shard):
    other = sharded.parent / "other"
    other.mkdir()
    save_file({"a": torch.ones(1)}, other / "model.safetensors")
    write_index(sharded, weight_map(a=shard))
    refused(sharded, "only files in the folder itself are read")


@pytest.mark.parametrize("shard", ["config.json", 3, None, "..", "model.pt"])
def test_a_shard_that_is_no_safetensors_file_is_refused(sharded, shard):
    write_index(sharded, weight_map(a=shard))
    refused(sharded, "only .safetensors files are read")


def test_all_missing_shards_are_listed(sharded):
    (sharded / SHARDS[0]).unlink()
    (sharded / SHARDS[2]).unlink()
    message = refused(sharded, "lacks 2 of the 3 shards .* The download is incomplete")
    assert SHARDS[0] in message and SHARDS[2] in message and SHARDS[1] not in message


@pytest.mark.parametrize("name", [SHARDS[1], INDEX])
def test_a_link_out_of_the_folder(sharded, name):
    (sharded / name).rename(sharded.parent / name)
    (sharded / name).symlink_to(f"../{name}")
    refused(sharded, "link out of the checkpoint folder")


def test_a_link_that_leads_nowhere(sharded):
    (sharded / SHARDS[1]).unlink()
    (sharded / SHARDS[1]).symlink_to("gone")
    refused(sharded, "its link leads nowhere")


def test_a_hugging_face_cache_is_read(sharded, tmp_path):
    repository = tmp_path / "models--lab--policy"
    snapshot = repository / "snapshots" / "abcdef"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for number, path in enumerate(sorted(sharded.iterdir())):
        path.rename(repository / "blobs" / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    assert torch.equal(TensorFiles.open(snapshot).read("a"), TENSORS[0]["a"])


def test_a_truncated_shard(sharded):
    data = (sharded / SHARDS[0]).read_bytes()
    (sharded / SHARDS[0]).write_bytes(data[:-5])
    refused(sharded, f"{SHARDS[0]} is truncated")


def test_a_shard_that_becomes_shorter_after_it_was_opened(sharded):
    files = TensorFiles.open(sharded)
    with (sharded / SHARDS[0]).open("rb+") as file:
        file.truncate((sharded / SHARDS[0]).stat().st_size - 20)
    with pytest.raises(CheckpointError, match="became shorter"):
        for name in TENSORS[0]:
            files.read(name)


def test_a_tensor_that_its_shard_lacks(sharded):
    write_index(sharded, weight_map(b=SHARDS[1], new=SHARDS[0]))
    message = refused(sharded, "2 tensors are not where")
    assert f"b in {SHARDS[1]}" in message and f"new in {SHARDS[0]}" in message


def test_a_tensor_in_two_shards(sharded):
    save_file({**TENSORS[1], "a": torch.ones(1)}, sharded / SHARDS[1])
    refused(sharded, f"'a' is in {SHARDS[0]} and in {SHARDS[1]}")


def test_a_tensor_that_nobody_wrote(sharded):
    with pytest.raises(CheckpointError, match="has no tensor 'x'"):
        TensorFiles.open(sharded).read("x")
