"""A LLaDA-VLA checkpoint with random weights in the form of LLaDA-V's training code: for tests and timing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.normalization import DatasetStatistics, FeatureStatistics
from dvla_ros.models.llada_v import LladaV, StoredParts, locate_llada_v
from dvla_ros.models.llada_v_config import LladaVConfig
from dvla_ros.policies.published.llada_v_action_tokens import PUBLISHED_ROWS
from dvla_ros.policies.published.llada_v_statistics import STATISTICS
from dvla_ros.preprocessing.fresh_tokenizers import write_llada_tokenizer
from dvla_ros.weights.fit import Expected
from dvla_ros.weights.streaming import expected_tensors, on_meta
from dvla_ros.weights.writing import SHARD_BYTES, TensorToWrite, without_values, write_tensors

UNNORM_KEY = "bridge_orig"
_SPREAD = {"small": 0.2, "true": 0.02}  # standard deviation of a weight: about 1 / sqrt(width)
_SMALL_SHARD = 9_000_000
_TRUE_SIZES = {
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "mm_hidden_size": 1152,
}
_SMALL_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "mm_hidden_size": 24,
}
_SMALL_TOWER = {
    "model_type": "siglip_vision_model",
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "image_size": 384,
    "patch_size": 14,
}


def write_fresh_llada_v(
    folder: Path,
    *,
    size: Literal["small", "true"],
    seed: int = 0,
    images: Literal["square", "anyres"] = "square",
    added_rows: int = 0,
    whole_tower: bool = False,
    weights: bool = True,
) -> None:
    """Write a checkpoint; true size takes 17 GB of disk, and 4 GB of memory as it is made tensor by tensor.

    Args:
        folder: Where to; made if it is not there.
        size: `small` has the published vocabulary and image size and tiny widths; `true` has LLaDA-V's sizes.
        seed: Of the weights.
        images: `square`, one tile as a robot needs it, is the training code's default; `anyres`, LLaDA-V's own.
        added_rows: Rows of a resized embedding, 32 or none.
        whole_tower: Whether the tower's last layer and head are there too.
        weights: False leaves holes where they are, which take no room and read as zeros.

    Raises:
        CheckpointError: The folder holds a checkpoint already.
    """
    values = _config(size, images, PUBLISHED_ROWS + added_rows)
    sizes = LladaVConfig.from_json(values)
    network = on_meta(lambda: LladaV(sizes, StoredParts(whole_tower)))
    generator = torch.Generator().manual_seed(seed)
    tensors = [
        TensorToWrite(name, expected.shape, torch.bfloat16, _values(name, expected, _SPREAD[size], generator))
        for name, expected in expected_tensors(network, locate_llada_v).items()
    ]
    tensors = tensors if weights else without_values(tensors)
    write_tensors(folder, tensors, shard_bytes=_SMALL_SHARD if size == "small" else SHARD_BYTES)
    _write_json(folder / "config.json", values)
    _write_json(folder / "generation_config.json", {"bos_token_id": 126080, "eos_token_id": 126081})
    write_llada_tokenizer(folder)
    _statistics().save(folder / STATISTICS, UNNORM_KEY)


def _config(size: Literal["small", "true"], images: Literal["square", "anyres"], rows: int) -> dict[str, Any]:
    anyres = images == "anyres"
    return {
        "architectures": ["LlavaLLaDAModelLM"],
        "model_type": "llava_llada",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 128000,
        "eos_token_id": 126081,
        "hidden_act": "silu",
        "image_aspect_ratio": "anyres_max_4" if anyres else "square",
        "image_grid_pinpoints": "(1x1),...,(6x6)" if anyres else None,
        "initializer_range": 0.02,
        "max_position_embeddings": 16384,
        "mm_patch_merge_type": "spatial_unpad" if anyres else "flat",
        "mm_projector_type": "mlp2x_gelu",
        "mm_resampler_type": None,
        "mm_tunable_parts": "mm_vision_tower,mm_mlp_adapter,mm_language_model",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "model/siglip2-so400m-patch14-384",
        "mm_vision_tower_lr": 2e-06,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 500000.0,
        "tie_word_embeddings": False,
        "tokenizer_model_max_length": 8192,
        "tokenizer_padding_side": "right",
        "torch_dtype": "bfloat16",
        "use_cache": False,
        "use_mm_proj": True,
        "vocab_size": rows,
        **(_SMALL_SIZES | {"vision_config": _SMALL_TOWER} if size == "small" else _TRUE_SIZES),
    }


def _values(name: str, expected: Expected, spread: float, generator: torch.Generator) -> Callable[[], Tensor]:
    """Scales of 1, shifts of 0, everything else drawn when it is asked for."""

    def make() -> Tensor:
        if name.endswith("bias"):
            return torch.zeros(expected.shape, dtype=torch.bfloat16)
        if len(expected.shape) == 1 and name.endswith(".weight"):
            return torch.ones(expected.shape, dtype=torch.bfloat16)
        drawn = torch.empty(expected.shape).normal_(std=spread, generator=generator)  # faster than in bfloat16
        return drawn.to(torch.bfloat16)

    return make


def _statistics() -> DatasetStatistics:
    """Of small motions, and of the states of a WidowX over a table."""
    action = _uniform([-0.008] * 3 + [-0.02] * 3 + [0.0], [0.008] * 3 + [0.02] * 3 + [1.0])
    state = _uniform([0.12, -0.25, 0.0, -0.5, -0.5, -1.0, 0.0], [0.45, 0.25, 0.3, 0.5, 0.5, 1.0, 1.0])
    return DatasetStatistics(action, state, num_transitions=1000, num_trajectories=20)


def _uniform(low: list[float], high: list[float]) -> FeatureStatistics:
    lower, upper = np.array(low), np.array(high)
    mask = np.array([*[True] * (len(low) - 1), False])
    return FeatureStatistics(
        (lower + upper) / 2, (upper - lower) / 12**0.5, upper * 1.5, lower * 1.5, lower, upper, mask
    )


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
