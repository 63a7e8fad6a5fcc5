"""Parts that PyTorch saved are read without running their code."""

import os

import pytest
import torch

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.tensor_source import HeldTensors
from dvla_ros.weights.torch_parts import read_torch_part

TENSORS = {"fc1.weight": torch.arange(6.0).reshape(2, 3), "fc1.bias": torch.ones(2, dtype=torch.bfloat16)}


class Payload:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def prefixed(prefix):
    return {f"{prefix}{name}": tensor for name, tensor in TENSORS.items()}


@pytest.mark.parametrize("name", ["proprio_projector--50000_checkpoint.pt", "non_lora_trainables.bin"])
@pytest.mark.parametrize("prefix", ["", "module.", "base_model.model.", "module.base_model.model."])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_part_is_read_without_its_wrappers_prefix(tmp_path, name, prefix, zipped):
    torch.save(prefixed(prefix), tmp_path / name, _use_new_zipfile_serialization=zipped)
    read = read_torch_part(tmp_path / name)
    assert read.keys() == TENSORS.keys()
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in TENSORS.items())


def test_a_prefix_that_only_some_names_have_belongs_to_them(tmp_path):
    torch.save({**TENSORS, "module.x": torch.ones(1)}, tmp_path / "part.pt")
    assert read_torch_part(tmp_path / "part.pt").keys() == {*TENSORS, "module.x"}


def test_parameters_come_as_tensors_that_need_no_gradient(tmp_path):
    torch.save(torch.nn.Linear(2, 3).state_dict(keep_vars=True), tmp_path / "part.pt")
    assert not any(tensor.requires_grad for tensor in read_torch_part(tmp_path / "part.pt").values())


def test_what_is_read_from_held_tensors_survives_the_file(tmp_path):
    torch.save(TENSORS, tmp_path / "part.pt")
    held = HeldTensors(read_torch_part(tmp_path / "part.pt"))
    first = held.read("fc1.weight")
    first.zero_()
    assert torch.equal(held.read("fc1.weight"), TENSORS["fc1.weight"])


@pytest.mark.parametrize("zipped", [True, False])
def test_a_command_in_the_file_is_not_run(tmp_path, zipped):
    values = {**TENSORS, "x": Payload(f"touch {tmp_path / 'run'}")}
    torch.save(values, tmp_path / "part.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        CheckpointError, match="PyTorch refused to read .* without running code from the file"
    ) as caught:
        read_torch_part(tmp_path / "part.pt")
    assert "posix.system" in str(caught.value) and "save the part as safetensors" in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3, **TENSORS}, r"holds 'epoch' \(int\)"),
        ({"nets": {"nets": TENSORS}}, r"holds 'nets' \(dict\)"),
        ({3: torch.ones(1)}, r"holds 3 \(Tensor\)"),
        ({"x": torch.ones(2, 2).to_sparse()}, "no plain tensors"),
        ({"x": torch.empty(2, device="meta")}, "no plain tensors"),
        ([torch.ones(1)], "must hold tensors by name, got list"),
        ({}, "must hold tensors by name"),
    ],
)
def test_what_is_no_dictionary_of_tensors_is_refused(tmp_path, values, message):
    torch.save(values, tmp_path / "part.pt")
    with pytest.raises(CheckpointError, match=message):
        read_torch_part(tmp_path / "part.pt")


def test_a_broken_file_is_refused(tmp_path):
    torch.save(TENSORS, tmp_path / "part.pt")
    data = (tmp_path / "part.pt").read_bytes()
    for size in (0, 10, 200, len(data) - 30):
        (tmp_path / "part.pt").write_bytes(data[:size])
        with pytest.raises(CheckpointError, match=r"part\.pt"):
            read_torch_part(tmp_path / "part.pt")


def test_a_missing_file_and_a_link_out_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="has no file part.pt"):
        read_torch_part(tmp_path / "part.pt")
    (tmp_path / "checkpoint").mkdir()
    torch.save(TENSORS, tmp_path / "outside.pt")
    (tmp_path / "checkpoint" / "part.pt").symlink_to("../outside.pt")
    with pytest.raises(CheckpointError, match="link out of the checkpoint folder"):
        read_torch_part(tmp_path / "checkpoint" / "part.pt")
