"""Prismatic is the published network: every tensor has its name and shape, and the parts are put together as there."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.models.prismatic import Prismatic, locate_prismatic
from dvla_ros.models.prismatic_config import PrismaticConfig
from dvla_ros.models.prismatic_projectors import ProprioProjector
from dvla_ros.models.timm_towers import TowerSizes
from dvla_ros.models.trunk_config import TrunkConfig
from dvla_ros.weights.streaming import expected_tensors, load_into, on_meta
from dvla_ros.weights.tensor_source import HeldTensors

OPENVLA_PARAMETERS = 7_541_237_184  # as PEFT counts openvla-7b: 7 652 065 472 with a rank-32 adapter of 110 828 288

Shapes = dict[str, tuple[int, ...]]


def linear(name: str, outputs: int, inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def timm_shapes(prefix: str, width: int, depth: int, mlp: int) -> Shapes:
    shapes: Shapes = {
        f"{prefix}pos_embed": (1, 256, width),
        f"{prefix}patch_embed.proj.weight": (width, 3, 14, 14),
        f"{prefix}patch_embed.proj.bias": (width,),
    }
    for block in (f"{prefix}blocks.{i}." for i in range(depth)):
        shapes |= norm(f"{block}norm1", width) | norm(f"{block}norm2", width)
        shapes |= linear(f"{block}attn.qkv", 3 * width, width) | linear(f"{block}attn.proj", width, width)
        shapes |= linear(f"{block}mlp.fc1", mlp, width) | linear(f"{block}mlp.fc2", width, mlp)
    return shapes | norm(f"{prefix}norm", width)


def openvla_shapes() -> Shapes:
    """Every tensor of an OpenVLA of 7 billion parameters, from the published names and sizes."""
    first, second = "vision_backbone.featurizer.", "vision_backbone.fused_featurizer."
    shapes = timm_shapes(first, 1024, 24, 4096) | timm_shapes(second, 1152, 27, 4304)
    shapes |= {f"{first}cls_token": (1, 1, 1024), f"{first}reg_token": (1, 4, 1024)}
    for block in range(24):
        shapes |= {f"{first}blocks.{block}.ls{i}.scale_factor": (1024,) for i in (1, 2)}
    pool = f"{second}attn_pool."
    shapes[f"{pool}latent"] = (1, 1, 1152)
    shapes |= linear(f"{pool}q", 1152, 1152) | linear(f"{pool}kv", 2304, 1152) | linear(f"{pool}proj", 1152, 1152)
    shapes |= norm(f"{pool}norm", 1152) | linear(f"{pool}mlp.fc1", 4304, 1152) | linear(f"{pool}mlp.fc2", 1152, 4304)
    shapes |= linear("projector.fc1", 8704, 2176) | linear("projector.fc2", 4096, 8704)
    shapes |= linear("projector.fc3", 4096, 4096)
    language = "language_model."
    for layer in (f"{language}model.layers.{i}." for i in range(32)):
        shapes |= {f"{layer}self_attn.{name}_proj.weight": (4096, 4096) for name in "qkvo"}
        shapes |= {f"{layer}mlp.{name}_proj.weight": (11008, 4096) for name in ("gate", "up")}
        shapes[f"{layer}mlp.down_proj.weight"] = (4096, 11008)
        shapes |= {f"{layer}{name}_layernorm.weight": (4096,) for name in ("input", "post_attention")}
    shapes |= {f"{language}{name}.weight": (32064, 4096) for name in ("model.embed_tokens", "lm_head")}
    return shapes | {f"{language}model.norm.weight": (4096,)}


def openvla() -> PrismaticConfig:
    towers = (TowerSizes.dinov2_large(), TowerSizes.siglip_so400m())
    return PrismaticConfig(towers, TrunkConfig.llama2_7b(1e-6), vocabulary=32064, action_end=32000, mask_token=32001)


def test_every_published_tensor_at_true_size() -> None:
    network = on_meta(lambda: Prismatic(openvla()))
    expected = {name: each.shape for name, each in expected_tensors(network, locate_prismatic).items()}
    assert expected == openvla_shapes()
    assert sum(math.prod(shape) for shape in expected.values()) == OPENVLA_PARAMETERS


def small() -> PrismaticConfig:
    towers = (TowerSizes("dinov2", 16, 2, 2, 32, 28), TowerSizes("siglip", 24, 2, 2, 40, 28))
    trunk = TrunkConfig(width=32, layers=1, heads=2, kv_heads=2, intermediate=48)
    return PrismaticConfig(towers, trunk, vocabulary=320, action_end=300, mask_token=301)


def published(config: PrismaticConfig) -> dict[str, Tensor]:
    network = on_meta(lambda: Prismatic(config))
    generator = torch.Generator().manual_seed(0)
    expected = expected_tensors(network, locate_prismatic)
    return {name: torch.randn(each.shape, generator=generator) * 0.3 for name, each in expected.items()}


def loaded(config: PrismaticConfig, weights: dict[str, Tensor]) -> Prismatic:
    network = on_meta(lambda: Prismatic(config))
    load_into(network, HeldTensors(weights), locate_prismatic, where="the test")
    return network.eval()


@torch.no_grad()
def test_each_camera_goes_through_both_towers_and_the_projector() -> None:
    weights = published(small())
    network = loaded(small(), weights)
    pixels = torch.randn(2, 3, 6, 28, 28)
    expected = []
    for camera in range(3):
        towers = network.vision_backbone
        first = towers.featurizer(pixels[:, camera, :3])
        second = towers.fused_featurizer(pixels[:, camera, 3:])
        x = torch.cat([first, second], dim=2)
        for layer in (1, 2, 3):
            x = x @ weights[f"projector.fc{layer}.weight"].T + weights[f"projector.fc{layer}.bias"]
            x = functional.gelu(x) if layer < 3 else x
        expected.append(x)
    torch.testing.assert_close(network.patches(pixels), torch.cat(expected, dim=1), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_state_projector_is_two_layers_with_gelu() -> None:
    projector = ProprioProjector(7, 12)
    state = torch.randn(3, 7)
    inner = functional.gelu(state @ projector.fc1.weight.T + projector.fc1.bias)
    expected = inner @ projector.fc2.weight.T + projector.fc2.bias
    torch.testing.assert_close(projector(state), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("part", ["trunk.layers.0.self_attn.k_proj", "embed_tokens", "lm_head"])
def test_language_model_has_the_names_of_llama(part: str) -> None:
    located = locate_prismatic(f"language_model.{part}.weight").name
    assert located in openvla_shapes()
