"""DiffusionVLA and DexVLA checkpoints with random weights, in the published form: for tests, and to measure with."""

import json
import pickle
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from dvla_ros.models.qwen2_vla import Qwen2Vla, locate_qwen2_vla
from dvla_ros.models.qwen2_vla_config import HeadType, Qwen2VlaConfig
from dvla_ros.policies.published.dexvla_statistics import FILE as STATISTICS
from dvla_ros.policies.published.fresh_qwen2_vl_config import HEAD_KEYS, Size, fresh_config
from dvla_ros.preprocessing.fresh_tokenizers import write_qwen2_tokenizer
from dvla_ros.preprocessing.qwen2_prompt import END, PAD
from dvla_ros.weights.lora import CONFIG as ADAPTER
from dvla_ros.weights.lora import WEIGHTS as ADAPTER_WEIGHTS
from dvla_ros.weights.streaming import expected_tensors, on_meta
from dvla_ros.weights.tensor_files import TensorFiles
from dvla_ros.weights.torch_parts import PEFT_PREFIX
from dvla_ros.weights.writing import SHARD_BYTES, TensorToWrite, without_values, write_tensors

_SPREAD = 0.02  # standard deviation of the weights
_SMALL_SHARD = 8_000_000  # bytes: less than the embedding, so that there are two shards or more
_WIDENED = 1e-4  # the training code moves the extremes of the actions outward before it writes them

_ACTION_REACH = np.array([0.008, 0.008, 0.008, 0.02, 0.02, 0.02])  # m, rad: small motions of a WidowX
_STATE_MEAN = np.array([0.22, 0.0, 0.16, 0.0, 0.0, 0.0, 0.6])
_STATE_STD = np.array([0.06, 0.08, 0.05, 0.1, 0.1, 0.3, 0.45])


def write_fresh_qwen2_vl(
    folder: Path,
    *,
    size: Size = "small",
    seed: int = 0,
    head: HeadType = "unet_diffusion_policy",
    head_size: str = "",
    action_dim: int = 7,
    state_dim: int = 7,
    horizon: int = 16,
    using_film: bool = True,
    statistics_in: Literal["parent", "folder"] = "parent",
    weights: bool = True,
) -> None:
    """Write a full fine-tune.

    Args:
        folder: Where to; made if it is not there.
        size: `small` has the published ids and a few narrow layers, `true` the published sizes.
        seed: Of the weights.
        head: Kind of action head.
        head_size: Of a `true` ScaleDP: `ScaleDP_H` or `ScaleDP_L`; "" for the first.
        action_dim: Columns of an action.
        state_dim: Numbers of a state.
        horizon: Rows of a chunk.
        using_film: Whether the model reasons.
        statistics_in: Where `dataset_stats.pkl` goes: above the folder as published, or into it.
        weights: False leaves holes where they are, which take no room and read as zeros.

    Raises:
        CheckpointError: The folder holds weights already.
    """
    config = fresh_config(
        size,
        head,
        head_size=head_size,
        action_dim=action_dim,
        state_dim=state_dim,
        horizon=horizon,
        using_film=using_film,
    )
    _write_json(folder / "config.json", config)
    _write_beside(folder)
    shard = SHARD_BYTES if size == "true" else _SMALL_SHARD
    tensors = fresh_weights(config, seed)
    write_tensors(folder, tensors if weights else without_values(tensors), shard_bytes=shard)
    write_fresh_statistics(folder.parent if statistics_in == "parent" else folder, action_dim, state_dim)


def write_fresh_qwen2_vl_adapter(folder: Path, base: Path, *, seed: int = 0, rank: int = 4, alpha: int = 16) -> None:
    """Write a small LoRA fine-tune and the Qwen2-VL that it was trained on, which has no action head.

    Args:
        folder: Where the adapter goes, with `config.json`, `non_lora_trainables.bin` and, above it, the statistics.
        base: Where the base goes; name it in the deployment file, `files: {base: PATH}`.
        seed: Of all weights.
        rank: Of the changes.
        alpha: Their scale times the rank.
    """
    config = fresh_config("small", "unet_diffusion_policy")
    weights = fresh_weights(config, seed)
    is_base = [one.name.startswith(("visual.", "model.", "lm_head.")) for one in weights]
    plain = {key: value for key, value in config.items() if key not in HEAD_KEYS}
    _write_json(
        base / "config.json", plain | {"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]}
    )
    _write_beside(base)
    write_tensors(base, [one for one, known in zip(weights, is_base, strict=True) if known], shard_bytes=_SMALL_SHARD)
    _write_json(folder / "config.json", config)
    trained = {PEFT_PREFIX + one.name: one.make() for one, known in zip(weights, is_base, strict=True) if not known}
    torch.save(trained, folder / "non_lora_trainables.bin")
    _write_adapter(folder, base, seed, rank, alpha)
    write_fresh_statistics(folder.parent, 7, 7)


def fresh_weights(config: Mapping[str, Any], seed: int) -> list[TensorToWrite]:
    """Every published tensor of a `config.json` in bfloat16, made when it is written."""
    sizes = Qwen2VlaConfig.from_json(config)
    wanted = {name: each.shape for name, each in expected_tensors(_skeleton(sizes), locate_qwen2_vla).items()}
    if not sizes.using_film:  # released models have this part all the same
        width = sizes.backbone.trunk.width
        for layer in ("0", "2"):
            wanted[f"input_action_proj.mlps.{layer}.weight"] = (width, width)
            wanted[f"input_action_proj.mlps.{layer}.bias"] = (width,)
    return [
        TensorToWrite(name, shape, torch.bfloat16, partial(_random, name, shape, seed + 1000 * number))
        for number, (name, shape) in enumerate(sorted(wanted.items()))
    ]


def _skeleton(sizes: Qwen2VlaConfig) -> Qwen2Vla:
    return on_meta(partial(Qwen2Vla, sizes))


def _random(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """Norms are 1, biases 0, all else is normally distributed."""
    if len(shape) == 1:
        return torch.full(shape, float(name.endswith(".weight")), dtype=torch.bfloat16)
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(shape, dtype=torch.bfloat16).normal_(std=_SPREAD, generator=generator)


def write_fresh_statistics(folder: Path, action_dim: int = 7, state_dim: int = 7) -> Path:
    """Write `dataset_stats.pkl` of small motions of a WidowX; other widths repeat its columns before the gripper."""
    high = np.append(np.resize(_ACTION_REACH, action_dim - 1), 1.0)
    low = np.append(-high[:-1], 0.0)
    mean, std = np.resize(_STATE_MEAN, state_dim), np.resize(_STATE_STD, state_dim)
    statistics = {
        "action_mean": (low + high) / 2,
        "action_std": np.maximum((high - low) / 4, 1e-2),
        "action_min": low - _WIDENED,
        "action_max": high + _WIDENED,
        "qpos_mean": mean,
        "qpos_std": std,
        "example_qpos": np.stack([mean, mean + std]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / STATISTICS
    path.write_bytes(pickle.dumps({name: values.astype(np.float32) for name, values in statistics.items()}))
    return path


def _write_beside(folder: Path) -> None:
    """Tokenizer, chat template and image settings, and what ends an answer."""
    write_qwen2_tokenizer(folder)
    _write_json(
        folder / "generation_config.json", {"bos_token_id": PAD, "eos_token_id": [END, PAD], "pad_token_id": PAD}
    )


def _write_adapter(folder: Path, base: Path, seed: int, rank: int, alpha: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    stored = TensorFiles.open(base)
    adapted = sorted(
        name for name in stored.names if name.endswith(("q_proj.weight", "v_proj.weight", "attn.qkv.weight"))
    )
    factors = {}
    for name in adapted:
        rows, columns = stored.shape(name)
        module = PEFT_PREFIX + name.removesuffix(".weight")
        factors[f"{module}.lora_A.weight"] = torch.randn(rank, columns, generator=generator)
        factors[f"{module}.lora_B.weight"] = torch.randn(rows, rank, generator=generator) * _SPREAD
    save_file(factors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    modules = sorted({name.removesuffix(".weight") for name in adapted})
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "Qwen2-VL-2B-Instruct",
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.05,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "target_modules": modules,
    }
    _write_json(folder / ADAPTER, settings)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
