"""LoRA fine-tunes of DiffusionVLA and DexVLA: an adapter, what else was trained, and the base model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh_qwen2_vl import write_fresh_qwen2_vl_adapter
from dvla_ros.policies.published.qwen2_vl_layout import Qwen2VlLayout, Qwen2VlSetup
from dvla_ros.weights.tensor_files import TensorFiles

CPU = torch.device("cpu")


def read(folder: Path, base: Path | None = None) -> Qwen2VlSetup:
    config = json.loads((folder / "config.json").read_text())
    return Qwen2VlLayout().read(folder, config, Deployment(files={} if base is None else {"base": str(base)}))


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    stored = TensorFiles.open(folder)
    return {name: stored.read(name).float() for name in stored.names}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> tuple[Path, Path]:
    """An adapter and its base."""
    place = tmp_path_factory.mktemp("lora")
    folder, base = place / "run" / "qwen2_lora", place / "Qwen2-VL-2B-Instruct"
    write_fresh_qwen2_vl_adapter(folder, base)
    return folder, base


def test_an_adapter_is_merged_into_its_base(adapter):
    folder, base = adapter
    model = read(folder, base).network(CPU, torch.float32).model
    below, factors = weights_of(base), load_file(folder / "adapter_model.safetensors")
    name = "model.layers.1.self_attn.q_proj"
    a, b = (factors[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    merged = model.backbone.language.trunk.layers[1].self_attn.q_proj.weight
    # 16 / 4; merging is rounded to the base's bfloat16
    assert torch.allclose(merged, below[f"{name}.weight"] + 16 / 4 * b @ a, rtol=2**-8, atol=1e-6)
    assert not torch.equal(merged, below[f"{name}.weight"])
    untouched = model.backbone.language.trunk.layers[1].self_attn.k_proj.weight
    assert torch.equal(untouched, below["model.layers.1.self_attn.k_proj.weight"])


def test_an_adapter_brings_its_action_head_and_all_else_that_was_trained(adapter, tmp_path):
    folder, base = adapter
    trained = torch.load(folder / "non_lora_trainables.bin", weights_only=True)
    copied = tmp_path / "run" / "adapter"
    shutil.copytree(folder.parent, copied.parent)
    copied = copied.parent / folder.name
    prefix = "base_model.model."
    trained[f"{prefix}model.norm.weight"] = torch.full((32,), 2.0)
    trained[f"{prefix}model.layers.0.self_attn.q_proj.base_layer.weight"] = torch.zeros(32, 32)  # the frozen one
    torch.save(trained, copied / "non_lora_trainables.bin")
    model = read(copied, base).network(CPU, torch.float32).model
    assert torch.equal(model.policy_head.combine.weight, trained[f"{prefix}policy_head.combine.weight"].float())
    assert torch.equal(model.backbone.language.trunk.norm.weight, torch.full((32,), 2.0))
    assert model.backbone.language.trunk.layers[0].self_attn.q_proj.weight.std() > 0.01


def test_an_adapter_saved_during_training_has_its_configuration_above(adapter, tmp_path):
    folder, base = adapter
    step = tmp_path / "run" / "checkpoint-100"
    shutil.copytree(folder, step)
    shutil.move(step / "config.json", step.parent / "config.json")
    shutil.copy(folder.parent / "dataset_stats.pkl", step.parent)
    config = json.loads((base / "config.json").read_text())
    setup = Qwen2VlLayout().read(step, config, Deployment(files={"base": str(base)}))
    assert setup.config.head_type == "unet_diffusion_policy"


def test_an_adapter_without_its_base_is_refused(adapter):
    folder, _ = adapter
    with pytest.raises(ConfigurationError, match="LoRA adapter; name the folder.*files: {base: PATH}"):
        read(folder)
    with pytest.raises(ConfigurationError, match="itself a LoRA adapter"):
        read(folder, folder)


def test_an_adapter_without_its_action_head_is_refused(adapter, tmp_path):
    folder, base = adapter
    copied = tmp_path / "run" / "adapter"
    shutil.copytree(folder.parent, copied.parent)
    copied = copied.parent / folder.name
    (copied / "non_lora_trainables.bin").unlink()
    with pytest.raises(CheckpointError, match="non_lora_trainables.bin"):
        read(copied, base).network(CPU, torch.float32)
