"""One layer of the trunk: pre-norm self-attention and a feed-forward part, named as in published Llama weights."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dvla_ros.models.key_value_cache import KeysValues, KeyValueCache
from dvla_ros.models.packed_projections import PackedProjections, pack_projections
from dvla_ros.models.rotary import Rotation
from dvla_ros.models.trunk_config import TrunkConfig


class SelfAttention(nn.Module):
    """Multi-head attention over the cached positions and the given ones."""

    def __init__(self, config: TrunkConfig, index: int) -> None:
        super().__init__()
        self.index = index
        self.head_dim = config.head_size
        self.groups = config.heads // config.kv_heads
        queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
        self.q_proj = nn.Linear(config.width, queries, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.width, keys, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.width, keys, bias=config.qkv_bias)
        self.o_proj = nn.Linear(queries, config.width, bias=config.out_bias)
        self._packed: PackedProjections | None = None
        self.register_load_state_dict_post_hook(_unpack_after_loading)

    def keys_values(self, x: Tensor, rotation: Rotation | None, cache: KeyValueCache) -> KeysValues:
        """Keys and values of `x` `[B, L, W]`, behind the cached ones."""
        return self._join(self.k_proj(x), self.v_proj(x), rotation, cache)

    def forward(
        self, x: Tensor, rotation: Rotation | None, mask: Tensor | None, cache: KeyValueCache
    ) -> tuple[Tensor, KeysValues]:
        """Attend from `x` `[B, L, W]`; returns `[B, L, W]` and all keys and values that were in view."""
        queries, keys, values = self.project(x, rotation)
        keys, values = cache.join(self.index, keys, values)
        return self.attend(queries, keys, values, mask), (keys, values)

    def project(self, x: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of `x` `[B, L, W]`, `[B, heads, L, head_dim]` each, turned to their positions."""
        queries, keys, values = (self._heads(part) for part in self._project(x))
        if rotation is None:
            return queries, keys, values
        return rotation.turn(queries), rotation.turn(keys), values

    def values(self, x: Tensor) -> Tensor:
        """Values alone, `[B, kv_heads, L, head_dim]`."""
        return self._heads(self.v_proj(x))

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """What queries `[B, heads, L, head_dim]` find among keys and values; `[B, L, W]`.

        `mask` is bool `[.., M, K]`, True where one of the last M queries sees a key; those before these see the first
        K - M keys. None where all see all.
        """
        before = 0 if mask is None else queries.shape[2] - mask.shape[-2]
        attended = self._attend(queries[:, :, before:], keys, values, mask)
        if mask is not None and before > 0:
            seen = keys.shape[2] - mask.shape[-2]
            first = self._attend(queries[:, :, :before], keys[:, :, :seen], values[:, :, :seen], None)
            attended = torch.cat([first, attended], dim=2)
        return cast(Tensor, self.o_proj(attended.transpose(1, 2).flatten(-2)))

    def pack(self) -> None:
        """Use one multiplication instead of three where no gradients are recorded; not for layers with an adapter."""
        if all(isinstance(layer, nn.Linear) for layer in (self.q_proj, self.k_proj, self.v_proj)):
            self._packed = pack_projections(self.q_proj, self.k_proj, self.v_proj)

    def unpack(self) -> None:
        """Back to three multiplications; happens by itself when weights are loaded, moved or to be trained."""
        self._packed = None

    def packed_at(self) -> int:
        """Address of the packed weights; 0 where they are not packed."""
        return 0 if self._packed is None else self._packed.weight.data_ptr()

    def train(self, mode: bool = True) -> "SelfAttention":
        """As for every module; training unpacks."""
        if mode:
            self.unpack()
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SelfAttention":
        self.unpack()
        return super()._apply(fn, recurse)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self._packed is not None and not torch.is_grad_enabled():
            queries, keys, values = self._packed(x)
            return queries, keys, values
        return self.q_proj(x), self.k_proj(x), self.v_proj(x)

    def _join(self, keys: Tensor, values: Tensor, rotation: Rotation | None, cache: KeyValueCache) -> KeysValues:
        keys, values = self._heads(keys), self._heads(values)
        return cache.join(self.index, keys if rotation is None else rotation.turn(keys), values)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        grouped = self.groups > 1
        if grouped and mask is not None:
            # The fused kernels that take a mask want as many key heads as query heads.
            keys, values = (t.repeat_interleave(self.groups, dim=1) for t in (keys, values))
            grouped = False
        return functional.scaled_dot_product_attention(queries, keys, values, mask, enable_gqa=grouped)


def _unpack_after_loading(attention: nn.Module, _: object) -> None:
    cast(SelfAttention, attention).unpack()


class GatedMlp(nn.Module):
    """down(SiLU(gate(x)) * up(x))."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.intermediate, bias=config.mlp_bias)
        self.up_proj = nn.Linear(config.width, config.intermediate, bias=config.mlp_bias)
        self.down_proj = nn.Linear(config.intermediate, config.width, bias=config.mlp_bias)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., W]` to `[..., W]`."""
        return cast(Tensor, self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x)))


class GeluMlp(nn.Module):
    """down(GELU(up(x)))."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.width, config.intermediate, bias=config.mlp_bias)
        self.down_proj = nn.Linear(config.intermediate, config.width, bias=config.mlp_bias)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., W]` to `[..., W]`."""
        return cast(Tensor, self.down_proj(functional.gelu(self.up_proj(x))))


def make_norm(config: TrunkConfig) -> nn.Module:
    """The normalisation that the config names."""
    kind = nn.RMSNorm if config.norm == "rms" else nn.LayerNorm
    return kind(config.width, eps=config.norm_eps)


class Layer(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: TrunkConfig, index: int) -> None:
        super().__init__()
        self.input_layernorm = make_norm(config)
        self.self_attn = SelfAttention(config, index)
        self.post_attention_layernorm = make_norm(config)
        self.mlp = GatedMlp(config) if config.mlp == "gated" else GeluMlp(config)

    def keys_values(self, x: Tensor, rotation: Rotation | None, cache: KeyValueCache) -> KeysValues:
        """Keys and values only: all that a later position ever asks of the last layer."""
        return self.self_attn.keys_values(self.input_layernorm(x), rotation, cache)

    def forward(
        self, x: Tensor, rotation: Rotation | None, mask: Tensor | None, cache: KeyValueCache
    ) -> tuple[Tensor, KeysValues]:
        """`[B, L, W]` to `[B, L, W]`, and all keys and values that were in view."""
        attended, in_view = self.self_attn(self.input_layernorm(x), rotation, mask, cache)
        x = x + attended
        return x + self.feed(x), in_view

    def feed(self, x: Tensor) -> Tensor:
        """What the feed-forward part adds to `[B, L, W]`."""
        return cast(Tensor, self.mlp(self.post_attention_layernorm(x)))
