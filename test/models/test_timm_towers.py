"""A tower with weights under timm's names is the published network: `transformers`' own models give the same."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel, SiglipVisionConfig, SiglipVisionModel

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.timm_towers import TimmTower, TowerSizes, locate_tower
from dvla_ros.weights.streaming import load_into, on_meta
from dvla_ros.weights.tensor_source import HeldTensors

WIDTH, DEPTH, HEADS, IMAGE, REGISTERS = 24, 3, 4, 42, 4
MLP = {"dinov2": 48, "siglip": 52}
PATCHES = (IMAGE // 14) ** 2
DINO = TowerSizes("dinov2", WIDTH, DEPTH, HEADS, MLP["dinov2"], IMAGE)
SIGLIP = TowerSizes("siglip", WIDTH, DEPTH, HEADS, MLP["siglip"], IMAGE)

Weights = dict[str, Tensor]


def published(kind: str) -> Weights:
    """Names and shapes as timm has them, values large enough that a mistake shows."""
    mlp = MLP[kind]
    shapes = {
        "pos_embed": (1, PATCHES, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, 14, 14),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
    }
    for block in (f"blocks.{i}." for i in range(DEPTH)):
        linear = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH), "mlp.fc1": (mlp, WIDTH)}
        for name, shape in {**linear, "mlp.fc2": (WIDTH, mlp)}.items():
            shapes |= {f"{block}{name}.weight": shape, f"{block}{name}.bias": shape[:1]}
        for name in ("norm1", "norm2"):
            shapes |= {f"{block}{name}.weight": (WIDTH,), f"{block}{name}.bias": (WIDTH,)}
        if kind == "dinov2":
            shapes |= {f"{block}ls{i}.scale_factor": (WIDTH,) for i in (1, 2)}
    if kind == "dinov2":
        shapes |= {"cls_token": (1, 1, WIDTH), "reg_token": (1, REGISTERS, WIDTH)}
    else:
        shapes["attn_pool.latent"] = (1, 1, WIDTH)
        pool = {"q": (WIDTH, WIDTH), "kv": (2 * WIDTH, WIDTH), "proj": (WIDTH, WIDTH), "norm": (WIDTH,)}
        for name, shape in {**pool, "mlp.fc1": (mlp, WIDTH), "mlp.fc2": (WIDTH, mlp)}.items():
            shapes |= {f"attn_pool.{name}.weight": shape, f"attn_pool.{name}.bias": shape[:1]}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}


def loaded(sizes: TowerSizes) -> TimmTower:
    tower = on_meta(lambda: TimmTower(sizes))
    load_into(tower, HeldTensors(published(sizes.kind)), locate_tower, where="the test")
    return tower.eval()


def some_pixels() -> Tensor:
    return torch.randn(2, 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(1))


def thirds(weights: Weights, block: str, queries: str, keys: str, values: str) -> Weights:
    renamed = {}
    for kind in ("weight", "bias"):
        whole = weights[f"{block}attn.qkv.{kind}"]
        for index, name in enumerate((queries, keys, values)):
            renamed[f"{name}.{kind}"] = whole[index * WIDTH : (index + 1) * WIDTH]
    return renamed


def as_dinov2(weights: Weights) -> Weights:
    # A class token without a position: its row of the position table is zero.
    positions = torch.cat([torch.zeros(1, 1, WIDTH), weights["pos_embed"]], dim=1)
    renamed = {
        "embeddings.cls_token": weights["cls_token"],
        "embeddings.mask_token": torch.zeros(1, WIDTH),
        "embeddings.register_tokens": weights["reg_token"],
        "embeddings.position_embeddings": positions,
        "embeddings.patch_embeddings.projection.weight": weights["patch_embed.proj.weight"],
        "embeddings.patch_embeddings.projection.bias": weights["patch_embed.proj.bias"],
        "layernorm.weight": weights["norm.weight"],
        "layernorm.bias": weights["norm.bias"],
    }
    for i in range(DEPTH):
        ours, theirs = f"blocks.{i}.", f"encoder.layer.{i}."
        attention = f"{theirs}attention."
        renamed |= thirds(weights, ours, f"{attention}q_proj", f"{attention}k_proj", f"{attention}v_proj")
        for kind in ("weight", "bias"):
            renamed[f"{attention}o_proj.{kind}"] = weights[f"{ours}attn.proj.{kind}"]
            for name in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                renamed[f"{theirs}{name}.{kind}"] = weights[f"{ours}{name}.{kind}"]
        renamed[f"{theirs}layer_scale1.lambda1"] = weights[f"{ours}ls1.scale_factor"]
        renamed[f"{theirs}layer_scale2.lambda1"] = weights[f"{ours}ls2.scale_factor"]
    return renamed


def as_siglip(weights: Weights) -> Weights:
    renamed = {
        "embeddings.patch_embedding.weight": weights["patch_embed.proj.weight"],
        "embeddings.patch_embedding.bias": weights["patch_embed.proj.bias"],
        "embeddings.position_embedding.weight": weights["pos_embed"][0],
        "post_layernorm.weight": weights["norm.weight"],
        "post_layernorm.bias": weights["norm.bias"],
    }
    for i in range(DEPTH):
        ours, theirs = f"blocks.{i}.", f"encoder.layers.{i}."
        attention = f"{theirs}self_attn."
        renamed |= thirds(weights, ours, f"{attention}q_proj", f"{attention}k_proj", f"{attention}v_proj")
        for kind in ("weight", "bias"):
            renamed[f"{attention}out_proj.{kind}"] = weights[f"{ours}attn.proj.{kind}"]
            for index in (1, 2):
                renamed[f"{theirs}layer_norm{index}.{kind}"] = weights[f"{ours}norm{index}.{kind}"]
                renamed[f"{theirs}mlp.fc{index}.{kind}"] = weights[f"{ours}mlp.fc{index}.{kind}"]
    return renamed


@torch.no_grad()
def test_dinov2_equals_transformers() -> None:
    config = Dinov2WithRegistersConfig(
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        mlp_ratio=2,
        image_size=IMAGE,
        patch_size=14,
        num_register_tokens=REGISTERS,
        layer_norm_eps=1e-6,
        hidden_act="gelu",
        attn_implementation="eager",
    )
    theirs = Dinov2WithRegistersModel(config).eval()
    theirs.load_state_dict(as_dinov2(published("dinov2")))
    states = theirs(some_pixels(), output_hidden_states=True).hidden_states
    expected = states[DEPTH - 1][:, 1 + REGISTERS :]  # states[0] is what enters the first block
    torch.testing.assert_close(loaded(DINO)(some_pixels()), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_siglip_equals_transformers() -> None:
    config = SiglipVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=MLP["siglip"],
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        image_size=IMAGE,
        patch_size=14,
        hidden_act="gelu",
        vision_use_head=False,
        attn_implementation="eager",
    )
    theirs = SiglipVisionModel(config).eval()
    theirs.load_state_dict(as_siglip(published("siglip")))
    expected = theirs(some_pixels(), output_hidden_states=True).hidden_states[DEPTH - 1]
    torch.testing.assert_close(loaded(SIGLIP)(some_pixels()), expected, atol=1e-5, rtol=1e-5)


def by_definition(kind: str, weights: Weights, pixels: Tensor) -> Tensor:
    """The published network written out, from the packed projection on."""

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    grid = pixels.unflatten(3, (-1, 14)).unflatten(2, (-1, 14))  # [B, 3, rows, 14, columns, 14]
    x = torch.einsum("bcripj,dcij->brpd", grid, weights["patch_embed.proj.weight"]).flatten(1, 2)
    x = x + weights["patch_embed.proj.bias"] + weights["pos_embed"]
    if kind == "dinov2":
        before = [weights[name].expand(len(x), -1, -1) for name in ("cls_token", "reg_token")]
        x = torch.cat([*before, x], dim=1)
    for i in range(DEPTH - 1):
        block = f"blocks.{i}."
        scale = [weights.get(f"{block}ls{index}.scale_factor", torch.ones(WIDTH)) for index in (1, 2)]
        qkv = linear(norm(x, f"{block}norm1"), f"{block}attn.qkv")
        q, k, v = qkv.unflatten(-1, (3, HEADS, WIDTH // HEADS)).permute(2, 0, 3, 1, 4)
        weight = (q @ k.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5).softmax(-1)
        x = x + scale[0] * linear((weight @ v).transpose(1, 2).flatten(2), f"{block}attn.proj")
        inner = linear(norm(x, f"{block}norm2"), f"{block}mlp.fc1")
        inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
        x = x + scale[1] * linear(inner, f"{block}mlp.fc2")
    return x[:, -PATCHES:]


@pytest.mark.parametrize("sizes", [DINO, SIGLIP], ids=lambda sizes: str(sizes.kind))
@torch.no_grad()
def test_tower_is_what_timm_defines(sizes: TowerSizes) -> None:
    expected = by_definition(sizes.kind, published(sizes.kind), some_pixels())
    torch.testing.assert_close(loaded(sizes)(some_pixels()), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_another_activation_gives_another_answer() -> None:
    """The approximate GELU is close, which is why a wrong one would go unnoticed."""
    approximate = TowerSizes("siglip", WIDTH, DEPTH, HEADS, MLP["siglip"], IMAGE, activation="gelu_pytorch_tanh")
    difference = (loaded(SIGLIP)(some_pixels()) - loaded(approximate)(some_pixels())).abs().max()
    assert 1e-5 < difference < 0.1


@torch.no_grad()
def test_the_last_block_and_the_pooling_are_not_asked() -> None:
    tower = loaded(SIGLIP)
    before = tower(some_pixels())
    for unused in (tower.blocks[-1], tower.norm, tower.attn_pool):
        for parameter in unused.parameters():
            parameter.fill_(torch.nan)
    assert torch.equal(tower(some_pixels()), before)


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="42 x 42"):
        loaded(DINO)(torch.zeros(1, 3, 56, 42))


def test_pixels_beyond_the_last_patch_are_not_looked_at() -> None:
    assert TowerSizes("siglip", WIDTH, DEPTH, HEADS, MLP["siglip"], 384).patches == 27 * 27


@pytest.mark.parametrize(
    "wrong", [{"width": 25}, {"depth": 1}, {"heads": 0}, {"image_size": 13}, {"mlp": 52}], ids=lambda w: next(iter(w))
)
def test_sizes_that_are_no_tower_are_refused(wrong: dict[str, int]) -> None:
    sizes = {"width": WIDTH, "depth": DEPTH, "heads": HEADS, "mlp": 48, "image_size": IMAGE}
    with pytest.raises(ConfigurationError):
        TowerSizes("dinov2", **{**sizes, **wrong})
