"""Loading takes the memory of the weights and little more; 16 GB of memory are enough for 15 GB of weights."""

import json
import subprocess
import sys

import pytest
import torch

from dvla_ros.weights.writing import TensorToWrite, write_tensors

LAYERS, WIDTH, RANK = 60, 832, 8
LARGEST_SHARE = 0.05
BOUND = 1.2

# Runs in a process of its own: the peak of this one has seen other tests.
LOAD = """
import json, resource, sys
from pathlib import Path
import torch
from torch import nn
from dvla_ros.weights.lora import Merged, read_adapter
from dvla_ros.weights.names import Location
from dvla_ros.weights.streaming import load_into, on_meta
from dvla_ros.weights.tensor_files import TensorFiles

layers, width, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
torch.set_num_threads(1)

def memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

def locate(name):
    layer, part, kind = name.split(".")
    return Location(f"layers.{layer}.qkv.{kind}", part=int(part), parts=3)

def build():
    return nn.ModuleList(nn.ModuleList(nn.Linear(width, width) for _ in range(3)) for _ in range(layers))

torch.ones(64, 64).bfloat16().float().addmm_(torch.ones(64, 8), torch.ones(8, 64))  # starts what multiplies
network = on_meta(build)
before = memory("VmRSS")
try:
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
except OSError:
    before = max(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
source = TensorFiles.open(folder)
if sys.argv[4] == "merged":
    source = Merged(source, read_adapter(folder / "lora_adapter"))
load_into(network, source, locate, where=folder)
assert not any(parameter.is_meta for parameter in network.parameters())
held = sum(parameter.nbytes for parameter in network.parameters())
print(json.dumps({"peak": memory("VmHWM") - before, "held": held, "sum": float(network[-1][2].weight.float().sum())}))
"""


def constant(name, value, *shape, dtype=torch.bfloat16):
    return TensorToWrite(name, shape, dtype, lambda: torch.full(shape, value, dtype=dtype))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Shards of 80 MB, and an adapter that adds 1 to every weight."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tensors, factors = [], []
    for i in range(LAYERS):
        layer = f"layers.{i}.qkv"
        tensors += [constant(f"{layer}.weight", i + 1.0, 3 * WIDTH, WIDTH), constant(f"{layer}.bias", 0.0, 3 * WIDTH)]
        factors += [
            constant(f"base_model.model.{layer}.lora_A.weight", 1.0, RANK, WIDTH, dtype=torch.float32),
            constant(f"base_model.model.{layer}.lora_B.weight", 1.0 / RANK, 3 * WIDTH, RANK, dtype=torch.float32),
        ]
    assert max(each.nbytes for each in tensors) <= LARGEST_SHARE * sum(each.nbytes for each in tensors)
    assert len(write_tensors(folder, tensors, shard_bytes=80_000_000)) > 3
    write_tensors(folder / "lora_adapter", factors, stem="adapter_model")
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "init_lora_weights": True}
    (folder / "lora_adapter" / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(("how", "added"), [("plain", 0), ("merged", 1)])
def test_the_peak_of_loading_is_hardly_more_than_the_weights(checkpoint, how, added):
    command = [sys.executable, "-c", LOAD, str(LAYERS), str(WIDTH), str(checkpoint), how]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout)
    assert result["held"] > 240_000_000
    assert result["sum"] == (LAYERS + added) * WIDTH * WIDTH
    assert result["held"] * 0.9 < result["peak"] <= BOUND * result["held"], result
