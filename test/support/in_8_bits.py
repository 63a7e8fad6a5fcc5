"""A program for `test_quantise.py`: what torchao does to a trunk and to a policy, in a process of its own.

PyTorch takes torchao's operators once in a process, and transformers imports it wherever it finds it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from dvla_ros.control.observation import Observation
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.engine.quantise import linears, quantise
from dvla_ros.engine.sequence_run import open_run
from dvla_ros.engine.weight_form import BYTES
from dvla_ros.models.trunk import Trunk
from dvla_ros.models.trunk_config import TrunkConfig
from dvla_ros.policies.load import load_policy

CONFIG = TrunkConfig(width=64, heads=4, kv_heads=2, layers=3, intermediate=96)


def made_trunk() -> Trunk:
    torch.manual_seed(0)
    made = Trunk(CONFIG).eval().requires_grad_(False)
    made.pack()
    return made


def hidden(trunk: Trunk) -> torch.Tensor:
    with torch.no_grad():
        x = torch.randn(2, 20, 64, generator=torch.Generator().manual_seed(1))
        return trunk.decode(x[:, 12:], trunk.prefill(x[:, :12]))


def integers(network: torch.nn.Module) -> int:
    """How many multiplications hold their weights as int8, all of them."""
    held = [linear.weight.qdata.dtype for linear in linears(network)]
    assert set(held) == {torch.int8}
    return len(held)


def of_trunk(weights: str) -> dict[str, object]:
    trunk = made_trunk()
    expected, norms = hidden(trunk), trunk.norm.weight.clone()
    quantise(trunk, weights)
    off = (hidden(trunk) - expected).norm() / expected.norm()
    return {"count": integers(trunk), "off": float(off), "norms": torch.equal(trunk.norm.weight, norms)}


def of_policy(checkpoint: Path) -> dict[str, object]:
    policy = load_policy(checkpoint, weights="int8")
    images = {name: np.zeros((48, 64, 3), np.uint8) for name in ("front", "wrist")}
    answer = policy.predict(Observation(0.0, images, np.full(7, 0.1), "pick up the red cube"), seed=0)
    return {"count": integers(policy.network.model), "usable": answer.usable}


@torch.no_grad()
def of_trunk_on_a_gpu(weights: str) -> dict[str, object]:
    """Steps that are captured, against those of the weights as they were."""
    trunk = made_trunk().cuda().bfloat16()
    x = torch.randn(1, 60, 64, device="cuda", dtype=torch.bfloat16)
    expected = open_run(trunk, trunk.prefill(x[:, :20]), x[:, :0]).hidden(x[:, 20:]).float()
    quantise(trunk, weights)
    graphs = StepGraphs.on(torch.device("cuda"))
    assert graphs is not None
    run = open_run(trunk, trunk.prefill(x[:, :20]), x[:, :0], graphs=graphs)
    for _ in range(3):
        found = run.hidden(x[:, 20:]).float()
    return {"off": float((found - expected).norm() / expected.norm()), "failure": graphs.failure}


if __name__ == "__main__":
    found = {weights: of_trunk(weights) for weights in ("int8", "int8_dynamic")}
    found["policy"] = of_policy(Path(sys.argv[1]))
    if torch.cuda.is_available():
        found["gpu"] = {weights: of_trunk_on_a_gpu(weights) for weights in BYTES}
    print(json.dumps(found))
