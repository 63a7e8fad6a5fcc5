"""The published shapes, and what is refused."""

from collections.abc import Callable

import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.trunk import Trunk
from dvla_ros.models.trunk_config import TrunkConfig

GOOD = {"width": 32, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 48}


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (TrunkConfig.llama2_7b, 6_738_415_616 - 2 * 32_000 * 4096),
        (TrunkConfig.qwen2_vl_2b, 1_543_714_304 - 151_936 * 1536),
        (TrunkConfig.llada_8b, 8_015_581_184 - 2 * 126_464 * 4096),
    ],
)
def test_published_shapes_have_the_published_number_of_parameters(make: Callable[[], TrunkConfig], parameters: int):
    with torch.device("meta"):
        trunk = Trunk(make())
    assert sum(p.numel() for p in trunk.parameters()) == parameters


def test_parameters_are_named_and_shaped_as_in_published_emu3_weights():
    with torch.device("meta"):
        shapes = {name: tuple(p.shape) for name, p in Trunk(TrunkConfig.emu3_8b()).named_parameters()}
    layer = {
        "self_attn.q_proj.weight": (4096, 4096),
        "self_attn.k_proj.weight": (1024, 4096),
        "self_attn.v_proj.weight": (1024, 4096),
        "self_attn.o_proj.weight": (4096, 4096),
        "mlp.gate_proj.weight": (14336, 4096),
        "mlp.up_proj.weight": (14336, 4096),
        "mlp.down_proj.weight": (4096, 14336),
        "input_layernorm.weight": (4096,),
        "post_attention_layernorm.weight": (4096,),
    }
    expected = {f"layers.{i}.{name}": shape for i in range(32) for name, shape in layer.items()}
    assert shapes == {**expected, "norm.weight": (4096,)}


def test_a_small_trunk_has_a_bias_everywhere_and_no_gate():
    names = {name for name, _ in Trunk(TrunkConfig.small(24, 3, 1)).named_parameters()}
    attention = [f"layers.0.self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "o_proj")]
    rest = [f"layers.0.{name}" for name in ("mlp.up_proj", "mlp.down_proj")]
    norms = ["layers.0.input_layernorm", "layers.0.post_attention_layernorm", "norm"]
    assert names == {f"{module}.{kind}" for module in attention + rest + norms for kind in ("weight", "bias")}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layers": 0}, "layers must be 1 or more, got 0"),
        ({"kv_heads": 3}, "multiple of kv_heads, got 4 and 3"),
        ({"width": 30}, "multiple of heads .* got 30 and 4"),
        ({"head_dim": 0}, "head_dim must be 1 or more, got 0"),
        ({"head_dim": 7}, "head_dim must be even, got 7"),
        ({"norm": "batch"}, "Unknown norm 'batch'"),
        ({"norm_eps": 0.0}, "norm_eps must be more than 0, got 0.0"),
        ({"mlp": "relu"}, "Unknown mlp 'relu'"),
        ({"rope_theta": -1.0}, "rope_theta must be more than 0, got -1.0"),
        ({"mrope_sections": (1, 1, 1)}, r"sum head_dim / 2 = 4, got \(1, 1, 1\)"),
        ({"rope_theta": None, "mrope_sections": (2, 1, 1)}, "need a rope_theta"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_value(wrong: dict, message: str):
    with pytest.raises(ConfigurationError, match=message):
        TrunkConfig(**{**GOOD, **wrong})
