"""A UD-VLA or DFM-VLA checkpoint with random weights, as UniVLA's training code would have written it.

All that belongs to it lies in one folder: the language model, `vision_tokenizer/`, the text tokenizer's files, `fast/`
and `norm_stats.json`.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dvla_ros.actions.fast import PROCESSOR, FastTokenizer
from dvla_ros.actions.fast_bpe import train_bpe
from dvla_ros.models.emu3 import IDS, VOCABULARY, Emu3Config
from dvla_ros.models.emu3_vq import Emu3Vq, Emu3VqConfig, locate_emu3_vq
from dvla_ros.models.language_model import locate_language_model
from dvla_ros.policies.published.layout import Skeleton
from dvla_ros.preprocessing.fresh_tokenizers import write_emu3_tokenizer
from dvla_ros.weights.fit import Expected
from dvla_ros.weights.streaming import expected_tensors, on_meta
from dvla_ros.weights.writing import SHARD_BYTES, TensorToWrite, without_values, write_tensors

Size = Literal["small", "true"]

HORIZON = 5
"""Actions of a chunk, as on Bridge."""
STATISTICS_KEY = "bridge_robot"
LONGEST = 1650

_SMALL_SHARD = 12_500_000
_SCALE, _LARGEST = 400, 240
"""FAST: 481 coefficients of at most 0.6. The published ones have 1024 ids for all that a chunk in -1..1 can need, and
what random weights say in them is next to never a chunk; 35 of these always are one, and only an early EOA, in about
two of a hundred chunks, leaves none. A chunk of wide motions cannot be written in them."""

_LOW = [*[-0.008] * 3, *[-0.02] * 3, 0.0]
_HIGH = [*[0.008] * 3, *[0.02] * 3, 1.0]
"""Metres, radians, gripper: safe for a WidowX."""

_SIZES: dict[Size, dict[str, int]] = {
    "small": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
    "true": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
}
_VISION_SIZES: dict[Size, dict[str, Any]] = {
    "small": {"ch": 32, "ch_mult": [1, 1, 1, 2]},
    "true": {"ch": 256, "ch_mult": [1, 2, 2, 4]},
}


def write_fresh_emu3(folder: Path, *, size: Size, seed: int = 0, system: str = "ud_vla", weights: bool = True) -> None:
    """Write a checkpoint; true size takes 18 GB of disk and, as it is made tensor by tensor, 4 GB of memory.

    Args:
        folder: Where to; made if it is not there.
        size: `small` has the published vocabulary and ids and tiny widths; `true` has the published sizes.
        seed: Of the weights.
        system: `ud_vla` or `dfm_vla`; their files are the same.
        weights: False leaves holes where those of the language model are, which take no room and read as zeros.

    Raises:
        CheckpointError: The folder holds a checkpoint already.
    """
    generator = torch.Generator().manual_seed(seed)
    values = _config(size)
    language = Skeleton(on_meta(Emu3Config.from_json(values).network), locate_language_model)
    shard = _SMALL_SHARD if size == "small" else SHARD_BYTES
    _write_weights(folder, language, torch.bfloat16, generator, shard, weights)
    _write_json(folder / "config.json", values)
    _write_json(
        folder / "generation_config.json", {key: IDS[key] for key in sorted(IDS) if key[:3] in ("bos", "eos", "pad")}
    )
    write_emu3_tokenizer(folder)
    _write_json(folder / "norm_stats.json", {"norm_stats": {STATISTICS_KEY: _statistics()}})
    _write_fast(folder / "fast")
    _write_vision(folder / "vision_tokenizer", size, generator)


def _write_vision(folder: Path, size: Size, generator: torch.Generator) -> None:
    values = _vision_config(size)
    sizes = Emu3VqConfig.from_json(values)
    _write_weights(
        folder, Skeleton(on_meta(lambda: Emu3Vq(sizes)), locate_emu3_vq), torch.float32, generator, SHARD_BYTES
    )
    _write_json(folder / "config.json", values)
    _write_json(folder / "preprocessor_config.json", _PREPROCESSOR)


def _write_fast(folder: Path) -> None:
    """One id per coefficient, no merges."""
    tokenizer = train_bpe([""], 2 * _LARGEST + 1, None, byte_level=False)
    FastTokenizer(_SCALE, -_LARGEST, HORIZON, len(_LOW), tokenizer).save(folder)
    values = json.loads((folder / PROCESSOR).read_text(encoding="utf-8"))
    code = {"AutoProcessor": "processing_action_tokenizer.UniversalActionProcessor"}
    _write_json(folder / PROCESSOR, {**values, "auto_map": code, "processor_class": "UniversalActionProcessor"})
    _write_json(folder / "special_tokens_map.json", {})
    _write_json(folder / "tokenizer_config.json", {"auto_map": code, "tokenizer_class": "PreTrainedTokenizerFast"})


def _write_weights(
    folder: Path,
    skeleton: Skeleton,
    dtype: torch.dtype,
    generator: torch.Generator,
    shard_bytes: int,
    weights: bool = True,
) -> None:
    tensors = [
        _to_write(name, expected, dtype, generator)
        for name, expected in expected_tensors(skeleton.module, skeleton.locate).items()
    ]
    write_tensors(folder, tensors if weights else without_values(tensors), shard_bytes=shard_bytes)


def _to_write(name: str, expected: Expected, dtype: torch.dtype, generator: torch.Generator) -> TensorToWrite:
    kind = dtype if expected.floating else torch.int64
    return TensorToWrite(name, expected.shape, kind, _values(name, expected.shape, kind, generator))


def _values(name: str, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Callable[[], Tensor]:
    """Scales and variances of 1, shifts, means and counts of 0; matrices and convolutions that keep the magnitude."""

    def make() -> Tensor:
        if len(shape) >= 2:
            spread = 1 / math.sqrt(math.prod(shape[1:]))
            return torch.empty(shape, dtype=dtype).normal_(std=spread, generator=generator)
        return torch.full(shape, float(name.endswith(("weight", "running_var"))), dtype=dtype)

    return make


def _config(size: Size) -> dict[str, Any]:
    return {
        "action_config": _ACTION_CONFIG,
        "action_experts": False,
        "architectures": ["Emu3MoE"],
        "attention_dropout": 0.1,
        "hidden_act": "silu",
        "image_area": 262144,
        "initializer_range": 0.02,
        "max_position_embeddings": LONGEST,
        "model_type": "Emu3",
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.44.0",
        "use_blockwise_attn_mask": True,
        "use_cache": True,
        "vision_loss_weight": 0.5,
        "vocab_size": VOCABULARY,
        **IDS,
        **_SIZES[size],
    }


def _vision_config(size: Size) -> dict[str, Any]:
    return {
        "architectures": ["Emu3VisionVQModel"],
        "attn_resolutions": [3],
        "auto_map": {
            "AutoConfig": "configuration_emu3visionvq.Emu3VisionVQConfig",
            "AutoModel": "modeling_emu3visionvq.Emu3VisionVQModel",
        },
        "codebook_size": 32768,
        "double_z": False,
        "dropout": 0.0,
        "embed_dim": 4,
        "in_channels": 3,
        "model_type": "Emu3VisionVQ",
        "num_res_blocks": 2,
        "out_channels": 3,
        "temporal_downsample_factor": 4,
        "torch_dtype": "float32",
        "transformers_version": "4.44.0",
        "z_channels": 4,
        **_VISION_SIZES[size],
    }


def _statistics() -> dict[str, list[float]]:
    """Of motions spread evenly between the bounds."""
    bounds = list(zip(_LOW, _HIGH, strict=True))
    return {
        "mean": [(low + high) / 2 for low, high in bounds],
        "std": [(high - low) / math.sqrt(12) for low, high in bounds],
        "q01": _LOW,
        "q99": _HIGH,
    }


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


_ACTION_CONFIG = {
    "action_dim": 7,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 2048,
    "max_position_embeddings": 5120,
    "num_attention_heads": 32,
    "num_hidden_layers": 2,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
}
"""Sizes of experts that the published weights do not have: `action_experts` is false."""

_PREPROCESSOR = {
    "auto_map": {"AutoImageProcessor": "image_processing_emu3visionvq.Emu3VisionVQImageProcessor"},
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "Emu3VisionVQImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "max_pixels": 1048576,
    "min_pixels": 262144,
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "spatial_factor": 8,
}
