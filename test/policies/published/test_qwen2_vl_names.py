"""At true size the network needs exactly the published tensors: an independent list of names and shapes."""

from functools import partial

import pytest

from dvla_ros.models.qwen2_vla import Qwen2Vla, locate_qwen2_vla
from dvla_ros.models.qwen2_vla_config import Qwen2VlaConfig
from dvla_ros.policies.published.fresh_qwen2_vl_config import fresh_config
from dvla_ros.weights.streaming import expected_tensors, on_meta

Shapes = dict[str, tuple[int, ...]]

WIDTH, ACTION, STATE, HORIZON = 1536, 14, 14, 16


def linear(name: str, out: int, into: int) -> Shapes:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def vision() -> Shapes:
    shapes: Shapes = {"visual.patch_embed.proj.weight": (1280, 3, 2, 14, 14)}
    for layer in range(32):
        block = f"visual.blocks.{layer}"
        shapes |= norm(f"{block}.norm1", 1280) | norm(f"{block}.norm2", 1280)
        shapes |= linear(f"{block}.attn.qkv", 3840, 1280) | linear(f"{block}.attn.proj", 1280, 1280)
        shapes |= linear(f"{block}.mlp.fc1", 5120, 1280) | linear(f"{block}.mlp.fc2", 1280, 5120)
    shapes |= norm("visual.merger.ln_q", 1280)
    return shapes | linear("visual.merger.mlp.0", 5120, 5120) | linear("visual.merger.mlp.2", WIDTH, 5120)


def language() -> Shapes:
    shapes: Shapes = {"model.embed_tokens.weight": (151936, WIDTH), "model.norm.weight": (WIDTH,)}
    for number in range(28):
        layer = f"model.layers.{number}"
        shapes |= {f"{layer}.{name}.weight": (WIDTH,) for name in ("input_layernorm", "post_attention_layernorm")}
        shapes |= linear(f"{layer}.self_attn.q_proj", WIDTH, WIDTH)
        shapes |= linear(f"{layer}.self_attn.k_proj", 256, WIDTH) | linear(f"{layer}.self_attn.v_proj", 256, WIDTH)
        shapes |= {f"{layer}.self_attn.o_proj.weight": (WIDTH, WIDTH)}
        shapes |= {f"{layer}.mlp.{name}.weight": (8960, WIDTH) for name in ("gate_proj", "up_proj")}
        shapes |= {f"{layer}.mlp.down_proj.weight": (WIDTH, 8960)}
    return shapes


def fusion() -> Shapes:
    shapes: Shapes = {}
    for part in ("input_action_proj", "reasoning_action_proj"):
        shapes |= linear(f"{part}.mlps.0", WIDTH, WIDTH) | linear(f"{part}.mlps.2", WIDTH, WIDTH)
    for part in ("scale_fc", "shift_fc"):
        shapes |= linear(f"reasoning_film.{part}", WIDTH, WIDTH)
    return shapes


def residual(name: str, before: int, after: int) -> Shapes:
    shapes: Shapes = {}
    for number, into in enumerate((before, after)):
        shapes |= {f"{name}.blocks.{number}.block.0.weight": (after, into, 5)}
        shapes |= {f"{name}.blocks.{number}.block.0.bias": (after,)}
        shapes |= norm(f"{name}.blocks.{number}.block.1", after)
    shapes |= linear(f"{name}.cond_encoder.1", 2 * after, 256 + WIDTH)
    if before != after:
        shapes |= {f"{name}.residual_conv.weight": (after, before, 1), f"{name}.residual_conv.bias": (after,)}
    return shapes


def unet() -> Shapes:
    shapes = norm("policy_head.norm_after_pool", WIDTH) | linear("policy_head.combine", WIDTH, WIDTH + STATE)
    shapes |= linear("policy_head.diffusion_step_encoder.1", 1024, 256)
    shapes |= linear("policy_head.diffusion_step_encoder.3", 256, 1024)
    for level, (before, after) in enumerate([(ACTION, 256), (256, 512), (512, 1024)]):
        down = f"policy_head.down_modules.{level}"
        shapes |= residual(f"{down}.0", before, after) | residual(f"{down}.1", after, after)
        if level < 2:
            shapes |= {f"{down}.2.conv.weight": (after, after, 3), f"{down}.2.conv.bias": (after,)}
    for number in (0, 1):
        shapes |= residual(f"policy_head.mid_modules.{number}", 1024, 1024)
    for level, (before, after) in enumerate([(2048, 512), (1024, 256)]):
        up = f"policy_head.up_modules.{level}"
        shapes |= residual(f"{up}.0", before, after) | residual(f"{up}.1", after, after)
        shapes |= {f"{up}.2.conv.weight": (after, after, 4), f"{up}.2.conv.bias": (after,)}
    shapes |= {
        "policy_head.final_conv.0.block.0.weight": (256, 256, 5),
        "policy_head.final_conv.0.block.0.bias": (256,),
    }
    shapes |= norm("policy_head.final_conv.0.block.1", 256)
    return shapes | {"policy_head.final_conv.1.weight": (ACTION, 256, 1), "policy_head.final_conv.1.bias": (ACTION,)}


def scale_dp(depth: int, width: int) -> Shapes:
    shapes = linear("policy_head.combine.0", 1024, WIDTH + STATE) | linear("policy_head.combine.2", 1024, 1024)
    shapes |= linear("policy_head.combine.4", WIDTH, 1024) | linear("policy_head.cond_obs_emb", width, WIDTH)
    shapes |= linear("policy_head.x_embedder", width, ACTION) | {"policy_head.pos_embed": (1, HORIZON, width)}
    shapes |= linear("policy_head.t_embedder.mlp.0", width, 256) | linear("policy_head.t_embedder.mlp.2", width, width)
    for number in range(depth):
        block = f"policy_head.blocks.{number}"
        shapes |= linear(f"{block}.attn.qkv", 3 * width, width) | linear(f"{block}.attn.proj", width, width)
        shapes |= linear(f"{block}.mlp.fc1", 4 * width, width) | linear(f"{block}.mlp.fc2", width, 4 * width)
        shapes |= linear(f"{block}.adaLN_modulation.1", 6 * width, width)
    shapes |= linear("policy_head.final_layer.linear", ACTION, width)
    return shapes | linear("policy_head.final_layer.adaLN_modulation.1", 2 * width, width)


def numbers(shapes: Shapes) -> int:
    total = 0
    for shape in shapes.values():
        count = 1
        for size in shape:
            count *= size
        total += count
    return total


def needed(**choices) -> Shapes:
    config = fresh_config("true", action_dim=ACTION, state_dim=STATE, horizon=HORIZON, **choices)
    skeleton = on_meta(partial(Qwen2Vla, Qwen2VlaConfig.from_json(config)))
    assert all(parameter.is_meta for parameter in skeleton.parameters())
    return {name: each.shape for name, each in expected_tensors(skeleton, locate_qwen2_vla).items()}


HEADS = {
    "unet": ({"head": "unet_diffusion_policy"}, unet(), 89_636_878, 2_312_787_470),
    "ScaleDP_H": ({"head": "scale_dp_policy"}, scale_dp(32, 1280), 955_817_998, 3_178_968_590),
    "ScaleDP_L": (
        {"head": "scale_dp_policy", "head_size": "ScaleDP_L"},
        scale_dp(24, 1024),
        462_597_646,
        2_685_748_238,
    ),
}


@pytest.mark.parametrize("choice", HEADS)
def test_every_tensor_of_the_published_layout_is_accounted_for(choice):
    choices, head, head_numbers, all_numbers = HEADS[choice]
    published = vision() | language() | fusion() | head
    assert needed(**choices) == published
    assert (numbers(head), numbers(published)) == (head_numbers, all_numbers)


def test_the_backbone_is_that_of_qwen2_vl_2b():
    assert numbers(vision() | language()) == 2_208_985_600  # the parameters of Qwen/Qwen2-VL-2B-Instruct


def test_a_head_that_is_not_tied_is_a_tensor_of_its_own():
    config = fresh_config("true", "unet_diffusion_policy", action_dim=ACTION, state_dim=STATE)
    config["tie_word_embeddings"] = False
    skeleton = on_meta(partial(Qwen2Vla, Qwen2VlaConfig.from_json(config)))
    names = expected_tensors(skeleton, locate_qwen2_vla)
    assert set(names) == set(vision() | language() | fusion() | unet()) | {"lm_head.weight"}
    assert names["lm_head.weight"].shape == (151936, WIDTH)


def test_without_film_there_is_no_part_that_reads_the_reasoning():
    assert needed(head="unet_diffusion_policy", using_film=False) == vision() | language() | unet()
