"""Sizes are read from the published keys, and what contradicts itself is refused."""

from typing import Any

import pytest

from dvla_ros.errors import CheckpointError
from dvla_ros.models.qwen2_vl_config import Qwen2VisionConfig, Qwen2VLConfig
from dvla_ros.models.qwen2_vla_config import Qwen2VlaConfig
from dvla_ros.models.scale_dp import ScaleDPConfig
from dvla_ros.models.trunk_config import TrunkConfig
from dvla_ros.models.unet1d import Unet1DConfig

PUBLISHED: dict[str, Any] = {
    "architectures": ["Qwen2VLForConditionalGenerationForVLA"],
    "model_type": "qwen2_vla",
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "image_token_id": 151655,
    "hidden_act": "silu",
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_attention_heads": 12,
    "num_hidden_layers": 28,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "vision_config": {
        "depth": 32,
        "embed_dim": 1280,
        "mlp_ratio": 4,
        "num_heads": 16,
        "in_chans": 3,
        "hidden_size": 1536,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "spatial_patch_size": 14,
        "temporal_patch_size": 2,
    },
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vocab_size": 151936,
    "using_film": True,
    "policy_head_type": "unet_diffusion_policy",
    "policy_head_config": {
        "model_type": "unet_diffusion_policy",
        "input_dim": 14,
        "state_dim": 14,
        "global_cond_dim": 1536,
        "prediction_horizon": 16,
        "num_inference_timesteps": 10,
    },
}
SCALE_DP: dict[str, Any] = {
    "policy_head_type": "scale_dp_policy",
    "policy_head_size": "ScaleDP_L",
    "policy_head_config": {
        "model_type": "scale_dp_policy",
        "input_dim": 10,
        "output_dim": 10,
        "state_dim": 7,
        "cond_dim": 1536,
        "prediction_horizon": 50,
        "num_queries": 50,
        "depth": 24,
        "n_emb": 1024,
        "num_heads": 16,
        "mlp_ratio": 4.0,
        "is_tinyvla": False,
        "num_inference_timesteps": 8,
    },
}


def test_the_published_backbone():
    sizes = Qwen2VLConfig.from_json(PUBLISHED)
    assert sizes.trunk == TrunkConfig.qwen2_vl_2b()
    assert sizes.vision == Qwen2VisionConfig(hidden_size=1536)
    assert (sizes.vocabulary, sizes.tied, sizes.image_token, sizes.ends) == (151936, True, 151655, (151645,))


def test_a_backbone_saved_again_by_transformers_5_is_the_same():
    text_keys = [key for key in PUBLISHED if key.startswith(("hidden_", "intermediate", "num_", "rms", "vocab"))]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    text = {key: PUBLISHED[key] for key in text_keys} | {"rope_parameters": rope, "eos_token_id": 151645}
    saved = {"text_config": text, "vision_config": {}, "image_token_id": 151655, "tie_word_embeddings": True}
    assert Qwen2VLConfig.from_json(saved) == Qwen2VLConfig.from_json(PUBLISHED)


def test_the_unet_head_of_diffusion_vla():
    sizes = Qwen2VlaConfig.from_json(PUBLISHED)
    assert sizes.head == Unet1DConfig(action_dim=14, state_dim=14, wave_precision="bfloat16")
    assert (sizes.horizon, sizes.noise_levels, sizes.denoising_steps, sizes.using_film) == (16, 100, 10, True)


def test_the_transformer_head_of_dexvla():
    sizes = Qwen2VlaConfig.from_json({**PUBLISHED, **SCALE_DP})
    expected = ScaleDPConfig.of_size("ScaleDP_L", action_dim=10, state_dim=7, horizon=50, wave_precision="bfloat16")
    assert sizes.head == expected
    assert (sizes.horizon, sizes.denoising_steps) == (50, 8)


def test_the_head_that_pools_by_itself_normalises_first():
    head = SCALE_DP["policy_head_config"] | {"is_tinyvla": True}
    sizes = Qwen2VlaConfig.from_json({**PUBLISHED, **SCALE_DP, "policy_head_config": head, "using_film": False})
    assert isinstance(sizes.head, ScaleDPConfig)
    assert sizes.head.norm_after_pool


def changed(**head: Any) -> dict[str, Any]:
    kept = PUBLISHED["policy_head_config"] | head
    return {"policy_head_config": {key: value for key, value in kept.items() if value is not None}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": "wide"}, "hidden_size must be a number, got 'wide'"),
        ({"rope_scaling": {"type": "mrope"}}, "mrope_section must hold three sizes"),
        ({"rope_scaling": {"mrope_section": [16, 24, 25]}}, "sum head_dim / 2 = 64"),
        ({"use_sliding_window": True}, "use_sliding_window must be false"),
        ({"image_token_id": 160000}, r"\[160000\], but vocab_size is 151936"),
        ({"eos_token_id": []}, "eos_token_id names no token"),
        ({"vision_config": None}, "vision_config"),
        ({"vision_config": {"hidden_size": 3584}}, "3584, but hidden_size is 1536"),
        ({"vision_config": {"depth": 0}}, "vision_config.depth must be 1, 2, 3 ..., got 0"),
        ({"policy_head_type": None}, r"names no action head: it lacks \['policy_head_type'\]"),
        ({"policy_head_config": None}, r"lacks \['policy_head_config'\].*not that of the base model"),
        ({"policy_head_type": "act"}, "'act'; this version runs unet_diffusion_policy and scale_dp_policy"),
        ({"policy_head_type": "scale_dp_policy"}, "policy_head_config is of a 'unet_diffusion_policy'"),
        ({"using_film": "yes"}, "using_film must be true or false, got 'yes'"),
        (changed(input_dim=None), "lacks input_dim"),
        (changed(action_dim=7), "contradicts itself.*'input_dim': 14, 'action_dim': 7"),
        (changed(state_dim=None), "lacks state_dim"),
        (changed(prediction_horizon=None), "lacks prediction_horizon"),
        (changed(num_queries=50), "contradicts itself.*16.*50"),
        (changed(prediction_horizon=18), "multiple of 4, got 18"),
        (changed(global_cond_dim=2048), "condition of 2048 numbers, but the language model's hidden_size is 1536"),
        (changed(down_dims="256"), "down_dims must be a list"),
        (changed(n_groups=7), "multiples of groups=7"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(CheckpointError, match=message):
        Qwen2VlaConfig.from_json({**PUBLISHED, **changes})


@pytest.mark.parametrize("key", ["hidden_size", "num_key_value_heads", "rms_norm_eps", "vocab_size"])
def test_a_missing_size_is_named(key):
    with pytest.raises(CheckpointError, match=f"lacks \\['{key}'\\]"):
        Qwen2VlaConfig.from_json({name: value for name, value in PUBLISHED.items() if name != key})


def test_a_size_by_name_must_agree_with_its_numbers():
    head = SCALE_DP["policy_head_config"] | {"depth": 32}
    with pytest.raises(CheckpointError, match="policy_head_size is ScaleDP_L.*24.*says.*32"):
        Qwen2VlaConfig.from_json({**PUBLISHED, **SCALE_DP, "policy_head_config": head})


def test_a_size_without_a_name_needs_its_numbers():
    head = {key: value for key, value in SCALE_DP["policy_head_config"].items() if key != "n_emb"}
    with pytest.raises(CheckpointError, match="lacks n_emb"):
        Qwen2VlaConfig.from_json({**PUBLISHED, **SCALE_DP, "policy_head_size": "none", "policy_head_config": head})
