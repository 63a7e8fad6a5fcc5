"""Vision towers whose weights are published under timm's names: DINOv2 with registers and SigLIP.

The blocks are `transformers`' own; what is around them follows timm's VisionTransformer: positions belong to patches
only, the class token and the registers come before them without any, layer norms have an epsilon of 1e-6, and GELU is
the exact one also in SigLIP, where `transformers` would take its approximation. Prismatic reads the output of the
second-to-last block, without the last normalisation and without the tokens before the patches.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from transformers import Dinov2WithRegistersConfig, SiglipVisionConfig
from transformers.models.dinov2_with_registers.modeling_dinov2_with_registers import Dinov2WithRegistersLayer
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer

from dvla_ros.errors import ConfigurationError
from dvla_ros.weights.names import Location

_NORM_EPS = 1e-6


@dataclass(frozen=True)
class TowerSizes:
    """Shape of a tower.

    Attributes:
        kind: `dinov2`: with a class token, four registers and layer scale; `siglip`: with none of them, and with a
            pooling behind the last block that is published though nobody here asks it.
        width: Size of a feature D.
        depth: Blocks; the last one is published and not run.
        heads: Of the attention.
        mlp: Size inside the feed-forward part; of `dinov2` a multiple of the width.
        image_size: Height and width in pixels.
        patch_size: Height and width of a patch in pixels.
        registers: Register tokens of `dinov2`.
        activation: `transformers`' name of the activation; `gelu` is the exact one.

    Raises:
        ConfigurationError: A size is too small, or sizes do not divide each other.
    """

    kind: Literal["dinov2", "siglip"]
    width: int
    depth: int
    heads: int
    mlp: int
    image_size: int = 224
    patch_size: int = 14
    registers: int = 4
    activation: str = "gelu"

    def __post_init__(self) -> None:
        if min(self.width, self.heads, self.mlp, self.patch_size) < 1 or self.depth < 2 or self.width % self.heads:
            raise ConfigurationError(
                f"A tower needs positive sizes, 2 blocks or more and a width that is a multiple of heads, got {self}."
            )
        if self.kind == "dinov2" and self.mlp % self.width:
            raise ConfigurationError(f"The mlp of a dinov2 must be a multiple of its width, got {self}.")
        if self.image_size < self.patch_size:
            raise ConfigurationError(f"The image of {self.image_size} is smaller than a patch of {self.patch_size}.")

    @property
    def patches(self) -> int:
        """Number of patches N; pixels beyond the last whole patch are not looked at."""
        return (self.image_size // self.patch_size) ** 2

    @classmethod
    def dinov2_large(cls) -> "TowerSizes":
        """DINOv2 ViT-L/14 with registers, timm's `vit_large_patch14_reg4_dinov2`."""
        return cls("dinov2", width=1024, depth=24, heads=16, mlp=4096)

    @classmethod
    def siglip_so400m(cls) -> "TowerSizes":
        """SigLIP so400m/14, timm's `vit_so400m_patch14_siglip_224`."""
        return cls("siglip", width=1152, depth=27, heads=16, mlp=4304)


class PatchEmbed(nn.Module):
    """Pixels `[B, 3, h, w]` to one token per patch `[B, N, D]`."""

    def __init__(self, sizes: TowerSizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, sizes.width, kernel_size=sizes.patch_size, stride=sizes.patch_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """One convolution."""
        return cast(Tensor, self.proj(pixels)).flatten(2).transpose(1, 2)


class UnusedPooling(nn.Module):
    """The weights of SigLIP's attention pooling: never run, kept so that a checkpoint is written back whole."""

    def __init__(self, sizes: TowerSizes) -> None:
        super().__init__()
        width = sizes.width
        self.latent = nn.Parameter(torch.zeros(1, 1, width))
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=_NORM_EPS)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, sizes.mlp), "fc2": nn.Linear(sizes.mlp, width)})


class TimmTower(nn.Module):
    """Patches of one image to their features in the second-to-last block."""

    def __init__(self, sizes: TowerSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.patch_embed = PatchEmbed(sizes)
        self.pos_embed = nn.Parameter(torch.randn(1, sizes.patches, sizes.width) * 0.02)
        if sizes.kind == "dinov2":
            self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
            self.reg_token = nn.Parameter(torch.zeros(1, sizes.registers, sizes.width))
        else:
            self.attn_pool = UnusedPooling(sizes)
        self.blocks = nn.ModuleList(_blocks(sizes))
        self.norm = nn.LayerNorm(sizes.width, eps=_NORM_EPS)

    @property
    def prefix_tokens(self) -> int:
        """Tokens before the patches."""
        return 1 + self.sizes.registers if self.sizes.kind == "dinov2" else 0

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels `[B, 3, h, w]` to `[B, N, D]`.

        Raises:
            ConfigurationError: The image has another size.
        """
        size = self.sizes.image_size
        if tuple(pixels.shape[-2:]) != (size, size):
            raise ConfigurationError(f"The tower takes images of {size} x {size}, got {list(pixels.shape[-2:])}.")
        x = self.patch_embed(pixels) + self.pos_embed
        if self.prefix_tokens:
            before = torch.cat([self.cls_token, self.reg_token], dim=1)
            x = torch.cat([before.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks[:-1]:
            x = block(x, None)
        return x[:, self.prefix_tokens :]


def _blocks(sizes: TowerSizes) -> list[nn.Module]:
    if sizes.kind == "dinov2":
        dino = Dinov2WithRegistersConfig(
            hidden_size=sizes.width,
            num_attention_heads=sizes.heads,
            mlp_ratio=sizes.mlp // sizes.width,
            hidden_act=sizes.activation,
            layer_norm_eps=_NORM_EPS,
            attn_implementation="sdpa",
        )
        return [Dinov2WithRegistersLayer(dino) for _ in range(sizes.depth)]
    siglip = SiglipVisionConfig(
        hidden_size=sizes.width,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.mlp,
        hidden_act=sizes.activation,
        layer_norm_eps=_NORM_EPS,
        attn_implementation="sdpa",
    )
    return [SiglipEncoderLayer(siglip) for _ in range(sizes.depth)]


_QKV = "attn.qkv"
_PUBLISHED_IN_BLOCK: dict[str, Location] = {
    "norm1": Location("norm1"),
    "attention.q_proj": Location(_QKV, 0, 3),
    "attention.k_proj": Location(_QKV, 1, 3),
    "attention.v_proj": Location(_QKV, 2, 3),
    "attention.o_proj": Location("attn.proj"),
    "layer_scale1": Location("ls1"),
    "norm2": Location("norm2"),
    "mlp.fc1": Location("mlp.fc1"),
    "mlp.fc2": Location("mlp.fc2"),
    "layer_scale2": Location("ls2"),
    "layer_norm1": Location("norm1"),
    "self_attn.q_proj": Location(_QKV, 0, 3),
    "self_attn.k_proj": Location(_QKV, 1, 3),
    "self_attn.v_proj": Location(_QKV, 2, 3),
    "self_attn.out_proj": Location("attn.proj"),
    "layer_norm2": Location("norm2"),
}
"""Parts of a block of either kind to their names in timm; the names of the two kinds do not clash."""

_PUBLISHED_PARAMETER = {"lambda1": "scale_factor"}  # Prismatic's name; timm says gamma


def locate_tower(name: str, prefix: str = "") -> Location:
    """Where a parameter of `TimmTower` lies in a published checkpoint.

    Args:
        name: Of ours, e.g. `blocks.0.attention.k_proj.weight`.
        prefix: What published names begin with, e.g. `vision_backbone.featurizer.`.
    """
    if not name.startswith("blocks."):
        return Location(prefix + name)
    _, block, rest = name.split(".", 2)
    part, parameter = rest.rsplit(".", 1)
    at = _PUBLISHED_IN_BLOCK[part]
    published = f"{prefix}blocks.{block}.{at.name}.{_PUBLISHED_PARAMETER.get(parameter, parameter)}"
    return Location(published, at.part, at.parts)
