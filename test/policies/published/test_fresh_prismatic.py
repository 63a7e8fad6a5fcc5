"""A fresh Discrete Diffusion VLA directory is one that its training code could have written."""

import json
import math
from pathlib import Path

import torch

from dvla_ros.models.prismatic_config import PrismaticConfig
from dvla_ros.models.timm_towers import TowerSizes
from dvla_ros.models.trunk_config import TrunkConfig
from dvla_ros.policies.published.fresh_prismatic import adapter_shapes, published_shapes, write_fresh_prismatic
from dvla_ros.weights.tensor_files import TensorFiles

ADAPTER_PARAMETERS = 110_828_288  # as PEFT counts those of rank 32 on openvla-7b


def test_files_are_the_published_ones(tmp_path: Path) -> None:
    write_fresh_prismatic(tmp_path, size="small")
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {
        "added_tokens.json",
        "config.json",
        "configuration_prismatic.py",
        "dataset_statistics.json",
        "generation_config.json",
        "lora_adapter/adapter_config.json",
        "lora_adapter/adapter_model.safetensors",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "modeling_prismatic.py",
        "preprocessor_config.json",
        "processing_prismatic.py",
        "proprio_projector--50000_checkpoint.pt",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_small_is_small_and_has_the_published_vocabulary(tmp_path: Path) -> None:
    write_fresh_prismatic(tmp_path, size="small")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 60e6
    weights = TensorFiles.open(tmp_path)
    assert weights.shape("language_model.model.embed_tokens.weight") == (32064, 32)
    assert weights.dtype("vision_backbone.featurizer.blocks.0.attn.qkv.weight") == torch.bfloat16


def test_one_seed_gives_one_checkpoint(tmp_path: Path) -> None:
    name = "projector.fc1.weight"
    drawn = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_fresh_prismatic(tmp_path / folder, size="small", seed=seed)
        drawn.append(TensorFiles.open(tmp_path / folder).read(name))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_adapter_of_true_size_has_as_many_parameters_as_published() -> None:
    towers = (TowerSizes.dinov2_large(), TowerSizes.siglip_so400m())
    sizes = PrismaticConfig(towers, TrunkConfig.llama2_7b(), vocabulary=32064, action_end=32000, mask_token=32001)
    factors = adapter_shapes(published_shapes(sizes), rank=32)
    assert sum(math.prod(shape) for shape in factors.values()) == ADAPTER_PARAMETERS


def test_state_and_adapter_are_optional(tmp_path: Path) -> None:
    write_fresh_prismatic(tmp_path, size="small", state=False, adapter="none", unnorm_key="libero_10_no_noops")
    assert not list(tmp_path.glob("*.pt"))
    assert not (tmp_path / "lora_adapter").exists()
    assert list(json.loads((tmp_path / "dataset_statistics.json").read_text())) == ["libero_10_no_noops"]
