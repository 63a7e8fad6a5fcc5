"""The `config.json` of a new DiffusionVLA or DexVLA checkpoint, with the keys that their training code writes."""

from typing import Any, Literal

from dvla_ros.models.qwen2_vla_config import HeadType
from dvla_ros.models.scale_dp import SIZES, ScaleDPSize
from dvla_ros.preprocessing.qwen2_prompt import END, IMAGE_PAD, PAD, VISION_END, VISION_START

Size = Literal["small", "true"]
"""A few narrow layers under the published ids, or the published sizes."""

HEAD_KEYS = (
    "policy_head_type",
    "policy_head_size",
    "policy_head_config",
    "using_film",
    "llm_loss_weight",
    "concat",
    "non_lora_lr",
)
"""What the training code adds to the keys of the base model."""

_IDS = {
    "bos_token_id": PAD,
    "eos_token_id": END,
    "vision_start_token_id": VISION_START,
    "vision_end_token_id": VISION_END,
    "vision_token_id": VISION_END + 1,
    "image_token_id": IMAGE_PAD,
    "video_token_id": IMAGE_PAD + 1,
    "vocab_size": 151_936,
}
_LANGUAGE: dict[Size, dict[str, Any]] = {
    "true": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "max_window_layers": 28,
    },
    "small": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_window_layers": 2,
    },
}
_SECTIONS: dict[Size, list[int]] = {"true": [16, 24, 24], "small": [2, 1, 1]}
_VISION: dict[Size, dict[str, int]] = {
    "true": {"depth": 32, "embed_dim": 1280, "num_heads": 16, "mlp_ratio": 4},
    "small": {"depth": 2, "embed_dim": 32, "num_heads": 4, "mlp_ratio": 2},
}
_UNET_LEVELS: dict[Size, list[int]] = {"true": [256, 512, 1024], "small": [16, 32, 64]}
_SMALL_SCALE_DP = ScaleDPSize(depth=2, width=32, heads=4)


def fresh_config(
    size: Size,
    head: HeadType,
    *,
    head_size: str = "",
    action_dim: int = 7,
    state_dim: int = 7,
    horizon: int = 16,
    using_film: bool = True,
) -> dict[str, Any]:
    """The contents; arguments as for `write_fresh_qwen2_vl`."""
    name = head_size or ("ScaleDP_H" if size == "true" else "none")
    columns = {"input_dim": action_dim, "state_dim": state_dim, "prediction_horizon": horizon}
    steps = {"num_inference_timesteps": 10, "num_train_timesteps": 100, "noise_samples": 1}
    width = _LANGUAGE[size]["hidden_size"]
    own = _unet(size, width) if head == "unet_diffusion_policy" else _scale_dp(name, width, action_dim, horizon)
    return {
        "architectures": ["Qwen2VLForConditionalGenerationForVLA"],
        "model_type": "qwen2_vla",
        **_IDS,
        **_LANGUAGE[size],
        **_text_settings(_SECTIONS[size]),
        "vision_config": _vision(size, width),
        "policy_head_type": head,
        "policy_head_size": name,
        "policy_head_config": {"model_type": head, **columns, **steps, **own, "is_tinyvla": not using_film},
        "using_film": using_film,
        "llm_loss_weight": 1.0,
        "concat": "token_cat",
        "non_lora_lr": 2e-4,
    }


def _text_settings(sections: list[int]) -> dict[str, Any]:
    return {
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "rope_scaling": {"type": "default", "rope_type": "default", "mrope_section": sections},
        "sliding_window": 32768,
        "use_sliding_window": False,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.45.2",
        "use_cache": True,
    }


def _vision(size: Size, width: int) -> dict[str, Any]:
    patches = {"in_chans": 3, "patch_size": 14, "spatial_patch_size": 14, "spatial_merge_size": 2}
    return {"model_type": "qwen2_vla", "hidden_size": width, **patches, "temporal_patch_size": 2, **_VISION[size]}


def _unet(size: Size, width: int) -> dict[str, Any]:
    convolutions = {"down_dims": _UNET_LEVELS[size], "kernel_size": 5, "n_groups": 8}
    return {"global_cond_dim": width, **convolutions, "diffusion_step_embed_dim": 256}


def _scale_dp(name: str, width: int, action_dim: int, horizon: int) -> dict[str, Any]:
    depth, embedding, heads = SIZES.get(name, _SMALL_SCALE_DP)
    blocks = {"depth": depth, "n_emb": embedding, "num_heads": heads, "mlp_ratio": 4.0}
    return {"cond_dim": width, "output_dim": action_dim, "num_queries": horizon, **blocks}
