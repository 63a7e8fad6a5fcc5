"""A Discrete Diffusion VLA checkpoint with random weights, as its training code writes it: for tests and timing."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.normalization import FeatureStatistics
from dvla_ros.models.prismatic import Prismatic, locate_prismatic
from dvla_ros.models.prismatic_config import TIMM_TOWERS, TOWER_SIZES_KEY, PrismaticConfig
from dvla_ros.models.prismatic_projectors import ProprioProjector
from dvla_ros.policies.published.prismatic_statistics import FILE as STATISTICS
from dvla_ros.preprocessing.fresh_tokenizers import write_llama_tokenizer
from dvla_ros.weights.streaming import expected_tensors, on_meta
from dvla_ros.weights.writing import SHARD_BYTES, TensorToWrite, without_values, write_tensors

Size = Literal["small", "true"]
Adapter = Literal["beside", "only", "none"]

UNNORM_KEY = "bridge_orig"
STEP = 50_000
_SPREAD = 0.02  # standard deviation of a weight
_SMALL_SHARD = 3_000_000  # bytes
_RANKS = {"small": 4, "true": 32}
_SMALL_TOWERS = [
    {"embed_dim": 32, "depth": 3, "num_heads": 2, "mlp_ratio": 2},
    {"embed_dim": 48, "depth": 3, "num_heads": 2, "mlp_ratio": 1.75},
]
_SMALL_LLAMA = {"hidden_size": 32, "intermediate_size": 88, "num_attention_heads": 4, "num_hidden_layers": 2}
_REMOTE_CODE = ("configuration_prismatic.py", "modeling_prismatic.py", "processing_prismatic.py")
_WIDOWX_RANGES = (
    ([-0.008] * 3 + [-0.02] * 3 + [0.0], [0.008] * 3 + [0.02] * 3 + [1.0]),
    ([0.12, -0.25, 0.0, -0.5, -0.5, -1.0, 0.0], [0.45, 0.25, 0.3, 0.5, 0.5, 1.0, 1.0]),
)
"""Least and most of actions (metres, radians, gripper) and of states."""
_LIBERO_RANGES = (
    ([-0.9] * 3 + [-0.2] * 3 + [0.0], [0.9] * 3 + [0.2] * 3 + [1.0]),
    ([-0.4, -0.3, 0.0, 2.0, -1.0, -1.0, 0.0, -0.04], [0.2, 0.3, 1.3, 3.6, 1.0, 1.0, 0.04, 0.0]),
)
"""Likewise: actions in the units of its controller; position, rotation vector and two fingers."""
_COLOURS = {"means": ((0.485, 0.456, 0.406), (0.5, 0.5, 0.5)), "stds": ((0.229, 0.224, 0.225), (0.5, 0.5, 0.5))}


def write_fresh_prismatic(
    folder: Path,
    *,
    size: Size,
    seed: int = 0,
    unnorm_key: str = UNNORM_KEY,
    state: bool = True,
    adapter: Adapter = "beside",
    device: str = "cpu",
    weights: bool = True,
) -> None:
    """Write a checkpoint; true size takes 15.3 GB of disk and, as it is made tensor by tensor, 1 GB of memory.

    Args:
        folder: Where to; made if it is not there.
        size: `small` has the published vocabulary and image size and tiny widths; `true` has OpenVLA's sizes.
        seed: Of the weights.
        unnorm_key: Name of the data set in the statistics; it also says how long a chunk is.
        state: Whether there is a projector of the state.
        adapter: Whether `lora_adapter/` lies beside the merged weights, as training leaves it; `only` writes neither
            the weights nor `config.json`, as training does that does not merge.
        device: Where random numbers are drawn.
        weights: False leaves holes where the main weights and the adapter are, which take no room and read as zeros.

    Raises:
        CheckpointError: The folder holds a checkpoint already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = _config(size)
    sizes = PrismaticConfig.from_json(values)
    draw = _Weights(seed, device, weights)
    shapes = published_shapes(sizes)
    if adapter != "only":
        write_tensors(folder, draw.tensors(shapes), shard_bytes=_SMALL_SHARD if size == "small" else SHARD_BYTES)
        _write_json(folder / "config.json", values)
        _write_json(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 32000})
    if adapter != "none":
        _write_adapter(folder / "lora_adapter", shapes, _RANKS[size], draw)
    if state:
        _write_proprio_part(folder, _statistics(unnorm_key), sizes.trunk.width, draw)
    for name in _REMOTE_CODE:
        (folder / name).write_text("# The published folder has code here, which this package never runs.\n")
    write_llama_tokenizer(folder)
    _write_json(folder / "preprocessor_config.json", _preprocessor(values))
    _write_json(folder / STATISTICS, {unnorm_key: _statistics(unnorm_key)})


class _Weights:
    """Random tensors, each drawn when it is written."""

    def __init__(self, seed: int, device: str, weights: bool) -> None:
        self._generator = torch.Generator(device).manual_seed(seed)
        self._device, self._weights = device, weights

    def tensors(self, shapes: Mapping[str, tuple[int, ...]]) -> list[TensorToWrite]:
        made = [TensorToWrite(name, shape, torch.bfloat16, self._values(name, shape)) for name, shape in shapes.items()]
        return made if self._weights else without_values(made)

    def drawn(self, shape: tuple[int, ...]) -> Tensor:
        empty = torch.empty(shape, dtype=torch.bfloat16, device=self._device)
        return empty.normal_(std=_SPREAD, generator=self._generator)

    def _values(self, name: str, shape: tuple[int, ...]) -> Callable[[], Tensor]:
        is_scale = name.endswith("scale_factor") or (name.endswith(".weight") and len(shape) == 1)
        return lambda: torch.ones(shape, dtype=torch.bfloat16) if is_scale else self.drawn(shape)


def published_shapes(sizes: PrismaticConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of the main weights, by its published name."""
    network = on_meta(lambda: Prismatic(sizes))
    return {name: expected.shape for name, expected in expected_tensors(network, locate_prismatic).items()}


def _config(size: Size) -> dict[str, Any]:
    text: dict[str, Any] = {"model_type": "llama", "pad_token_id": 32000, "torch_dtype": "bfloat16"}
    values: dict[str, Any] = {
        "architectures": ["OpenVLAForActionPrediction"],
        "auto_map": {
            "AutoConfig": "configuration_prismatic.OpenVLAConfig",
            "AutoModelForVision2Seq": "modeling_prismatic.OpenVLAForActionPrediction",
        },
        "model_type": "openvla",
        "arch_specifier": "no-align+fused-gelu-mlp",
        "hf_llm_id": "meta-llama/Llama-2-7b-hf",
        "image_resize_strategy": "resize-naive",
        "image_sizes": [224, 224],
        "llm_backbone_id": "llama2-7b-pure",
        "llm_max_length": 2048,
        "mask_token_id": 32001,
        "n_action_bins": 256,
        "output_projector_states": False,
        "pad_to_multiple_of": 64,
        "pad_token_id": 32000,
        "text_config": {**text, "vocab_size": 32064},
        "timm_model_ids": list(TIMM_TOWERS),
        "timm_override_act_layers": [None, None],
        "topk_filter_thres": 0.0,
        "torch_dtype": "bfloat16",
        "use_discrete_diffusion": True,
        "use_fused_vision_backbone": True,
        "use_mask_token": True,
        "vision_backbone_id": "dinosiglip-vit-so-224px",
    }
    if size == "small":
        values["text_config"] |= _SMALL_LLAMA
        values[TOWER_SIZES_KEY] = _SMALL_TOWERS
    return values


def _preprocessor(config: Mapping[str, Any]) -> dict[str, Any]:
    towers = len(config["timm_model_ids"])
    return {
        "image_processor_type": "PrismaticImageProcessor",
        "processor_class": "PrismaticProcessor",
        "image_resize_strategy": config["image_resize_strategy"],
        "input_sizes": [[3, side, side] for side in config["image_sizes"]],
        "interpolations": ["bicubic"] * towers,
        "use_fused_vision_backbone": config["use_fused_vision_backbone"],
        **_COLOURS,
    }


def _write_adapter(folder: Path, shapes: Mapping[str, tuple[int, ...]], rank: int, draw: _Weights) -> None:
    factors = adapter_shapes(shapes, rank)
    write_tensors(folder, draw.tensors(factors), stem="adapter_model")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": min(rank, 16), "lora_dropout": 0.0}
    origin = {"base_model_name_or_path": "openvla/openvla-7b", "init_lora_weights": "gaussian", "bias": "none"}
    _write_json(folder / "adapter_config.json", {**config, **origin, "target_modules": _last_words(factors)})


def adapter_shapes(shapes: Mapping[str, tuple[int, ...]], rank: int) -> dict[str, tuple[int, ...]]:
    """The tensors of an adapter as training makes it, by the name they have there.

    PEFT's `all-linear` goes by the last word of a layer's name: `proj` also finds the convolution of the patches, and
    the head is a linear layer like the others.

    Args:
        shapes: Of the published tensors.
        rank: r.
    """
    factors: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        module, _, leaf = name.rpartition(".")
        if leaf == "weight" and len(shape) > 1 and not module.endswith("embed_tokens"):
            factors[f"base_model.model.{module}.lora_A.weight"] = (rank, *shape[1:])
            factors[f"base_model.model.{module}.lora_B.weight"] = (shape[0], rank, *(1 for _ in shape[2:]))
    return factors


def _last_words(factors: Mapping[str, tuple[int, ...]]) -> list[str]:
    return sorted({name.removesuffix(".weight").rsplit(".", 2)[1] for name in factors})


def _write_proprio_part(folder: Path, statistics: Mapping[str, Any], width: int, draw: _Weights) -> None:
    """With the prefix that training on several GPUs leaves in front of the names."""
    projector = on_meta(lambda: ProprioProjector(len(statistics["proprio"]["mean"]), width))
    tensors = {f"module.{name}": draw.drawn(tuple(p.shape)).cpu() for name, p in projector.named_parameters()}
    torch.save(tensors, folder / f"proprio_projector--{STEP}_checkpoint.pt")


def _statistics(unnorm_key: str) -> dict[str, Any]:
    """Of small motions, and of the states of a WidowX over a table; of LIBERO's where the data set is called so."""
    action, state = _LIBERO_RANGES if "libero" in unnorm_key else _WIDOWX_RANGES
    proprio = _uniform(*state).to_json()
    del proprio["mask"]
    return {
        "action": _uniform(*action).to_json(),
        "proprio": proprio,
        "num_transitions": 1000,
        "num_trajectories": 20,
    }


def _uniform(low: list[float], high: list[float]) -> FeatureStatistics:
    lower, upper = np.array(low), np.array(high)
    mask = np.array([*[True] * (len(low) - 1), False])
    middle, spread = (lower + upper) / 2, (upper - lower) / 12**0.5
    return FeatureStatistics(middle, spread, upper * 1.2, lower * 1.2, lower, upper, mask)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
