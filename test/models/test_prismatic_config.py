"""A `config.json` is read as published, or refused with everything that is wrong in it."""

from typing import Any

import pytest

from dvla_ros.errors import CheckpointError
from dvla_ros.models.prismatic_config import PrismaticConfig


def published(**changes: Any) -> dict[str, Any]:
    """The keys of Discrete Diffusion VLA's config.json that matter."""
    values = {
        "architectures": ["OpenVLAForActionPrediction"],
        "arch_specifier": "no-align+fused-gelu-mlp",
        "image_resize_strategy": "resize-naive",
        "image_sizes": [224, 224],
        "mask_token_id": 32001,
        "n_action_bins": 256,
        "pad_to_multiple_of": 64,
        "text_config": {"model_type": "llama", "pad_token_id": 32000, "vocab_size": 32064},
        "timm_model_ids": ["vit_large_patch14_reg4_dinov2.lvd142m", "vit_so400m_patch14_siglip_224"],
        "timm_override_act_layers": [None, None],
        "use_discrete_diffusion": True,
        "use_fused_vision_backbone": True,
        "use_mask_token": True,
    }
    return {**values, **changes}


def test_published_keys_give_the_published_network() -> None:
    config = PrismaticConfig.from_json(published())
    assert [(tower.width, tower.depth, tower.patches) for tower in config.towers] == [(1024, 24, 256), (1152, 27, 256)]
    assert (config.trunk.width, config.trunk.layers, config.trunk.intermediate) == (4096, 32, 11008)
    assert config.trunk.norm_eps == 1e-6  # text_config names none, and transformers' default is not Llama-2's 1e-5
    assert config.action_ids == range(31744, 32000)


def test_what_text_config_says_counts() -> None:
    text = {"vocab_size": 32064, "hidden_size": 64, "num_attention_heads": 4, "rms_norm_eps": 1e-5}
    config = PrismaticConfig.from_json(published(text_config=text))
    assert (config.trunk.width, config.trunk.head_size, config.trunk.norm_eps) == (64, 16, 1e-5)


def test_an_overridden_activation_is_taken() -> None:
    config = PrismaticConfig.from_json(published(timm_override_act_layers=[None, "gelu_tanh"]))
    assert [tower.activation for tower in config.towers] == ["gelu", "gelu_pytorch_tanh"]


@pytest.mark.parametrize("key", ["use_discrete_diffusion", "use_mask_token"])
@pytest.mark.parametrize("value", [False, None, "true"])
def test_another_head_of_openvla_is_refused(key: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=f"OpenVLA.* checkpoint with another head.*{key}: true"):
        PrismaticConfig.from_json(published(**{key: value}))


@pytest.mark.parametrize(
    "key, value",
    [
        ("arch_specifier", "no-align+gelu-mlp"),
        ("image_resize_strategy", "letterbox"),
        ("image_sizes", [384, 384]),
        ("mask_token_id", None),
        ("mask_token_id", 32064),
        ("mask_token_id", 31800),
        ("n_action_bins", 512),
        ("pad_to_multiple_of", "64"),
        ("pad_to_multiple_of", 40000),
        ("text_config", None),
        ("text_config", {"model_type": "mistral", "vocab_size": 32064}),
        ("text_config", {"vocab_size": True}),
        ("text_config", {"vocab_size": 32064, "hidden_size": "4096"}),
        ("text_config", {"vocab_size": 32064, "hidden_size": 4095}),
        ("text_config", {"vocab_size": 32064, "rope_scaling": {"factor": 2}}),
        ("timm_model_ids", ["vit_so400m_patch14_siglip_224"]),
        ("timm_override_act_layers", ["relu", None]),
        ("timm_override_act_layers", [[], None]),
        ("timm_model_args", [{"embed_dim": 32}]),
        ("timm_model_args", [{"embed_dim": 32, "depth": 2, "num_heads": 3, "mlp_ratio": 2}] * 2),
        ("use_fused_vision_backbone", False),
    ],
)
def test_what_cannot_be_run_is_refused(key: str, value: object) -> None:
    with pytest.raises(CheckpointError, match="config.json"):
        PrismaticConfig.from_json(published(**{key: value}))


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(CheckpointError) as refusal:
        PrismaticConfig.from_json(published(n_action_bins=128, image_sizes=[384, 384], mask_token_id=None))
    assert all(key in str(refusal.value) for key in ("n_action_bins is 128", "image_sizes", "mask_token_id is None"))
