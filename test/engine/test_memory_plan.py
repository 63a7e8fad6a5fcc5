"""Memory is counted before anything is loaded, and too little of it is an error that says what would fit."""

import pytest
import torch
from torch import nn

from dvla_ros.engine.memory_plan import GRAPH_MARGIN, Setting, WorkingSet, plan_memory, require_memory
from dvla_ros.errors import DeviceMemoryError
from dvla_ros.models.language_model import LanguageModel
from dvla_ros.models.trunk_config import TrunkConfig
from dvla_ros.policies.inspection import inspect
from dvla_ros.policies.published.fresh import WRITERS
from dvla_ros.weights.meta_network import on_meta

CONFIG = TrunkConfig(width=64, heads=4, kv_heads=2, layers=3, intermediate=96)
WORK = WorkingSet(positions=200, canvas=50, vocabulary=1000)
PLAIN = Setting(torch.bfloat16, graphs=False)


@pytest.fixture
def networks():
    return on_meta(lambda: nn.ModuleDict({"words": LanguageModel(CONFIG, 500), "tower": nn.Linear(7, 11)}))


def test_weights_are_counted_by_their_type(networks):
    # Per layer: q and o 64 x 64, k and v 64 x 32, three of 64 x 96, two norms; embeddings, head, last norm; the tower.
    trunk = 3 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96)
    parameters = trunk + 3 * 128 + 64 + 2 * 500 * 64 + 7 * 11 + 11
    assert plan_memory(networks, WORK, PLAIN).weights == 2 * parameters
    assert plan_memory(networks, WORK, Setting(torch.float32, graphs=False)).weights == 4 * parameters
    smaller = plan_memory(networks, WORK, Setting(torch.bfloat16, "int8"))
    assert (smaller.loading, smaller.weights) == (2 * parameters, 2 * parameters - trunk)
    apart = plan_memory(networks, WorkingSet(200, float32_parameters=1000), PLAIN)
    assert apart.weights == 2 * parameters + 4000


def test_keys_and_values_are_held_twice(networks):
    once = 2 * 3 * (2 * 16) * 200 * 2  # keys and values, layers, kv heads x head size, positions, bytes
    assert plan_memory(networks, WORK, PLAIN).caches == 2 * once
    remembered = 2 * 3 * 50 * 64 * 2
    assert plan_memory(networks, WORK, Setting(cache="dllm")).caches == 2 * once + remembered


def test_what_is_needed_is_the_sum_unless_loading_takes_more(networks):
    plan = plan_memory(networks, WORK, Setting())
    assert plan.graphs == GRAPH_MARGIN + plan.activations
    assert plan.needed == plan.weights + plan.caches + plan.activations + plan.graphs
    alone = plan_memory(networks, WorkingSet(0), Setting(torch.float32, "int8", graphs=False))
    assert alone.needed == alone.loading > alone.weights


def test_enough_memory_is_enough(networks):
    needed = plan_memory(networks, WORK, PLAIN).needed
    assert require_memory(networks, WORK, PLAIN, "cuda:0", needed).needed == needed
    with pytest.raises(DeviceMemoryError):
        require_memory(networks, WORK, PLAIN, "cuda:0", needed - 1)


def test_too_little_says_how_much_is_missing_and_what_would_fit(networks):
    free = plan_memory(networks, WORK, PLAIN).needed
    with pytest.raises(DeviceMemoryError, match=r"cuda:1 has 0.00 GB free and .* 0.27 GB are missing. .* graphs off"):
        require_memory(networks, WORK, Setting(torch.bfloat16), "cuda:1", free)
    with pytest.raises(DeviceMemoryError, match="What fits: dtype bfloat16"):
        require_memory(networks, WORK, Setting(torch.float32, graphs=False), "cuda:1", free)
    shorter = plan_memory(networks, WorkingSet(120, 50, 1000), PLAIN).needed
    with pytest.raises(DeviceMemoryError, match="a sequence of 120 positions instead of 200"):
        require_memory(networks, WORK, PLAIN, "cuda:1", shorter)
    with pytest.raises(DeviceMemoryError, match="No setting makes it fit"):
        require_memory(networks, WORK, PLAIN, "cuda:1", 1000)


@pytest.mark.parametrize("system", WRITERS)
def test_every_published_layout_can_be_planned(system, tmp_path):
    WRITERS[system](tmp_path / "it", size="small", seed=0)
    said = inspect(tmp_path / "it").facts["memory needed"]
    assert "on a GPU (bfloat16: weights" in said and "keys and values" in said
