"""A transformer whose prefix never looks at the canvas, so that the prefix is computed once."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class PrefixCache:
    """Keys and values of the prefix, one `[B, heads, P, width / heads]` per layer."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def repeat(self, times: int) -> "PrefixCache":
        """The same prefix for `times` canvases per row: `[B * times, ...]`, rows of one prefix side by side."""
        return PrefixCache(
            tuple(k.repeat_interleave(times, dim=0) for k in self.keys),
            tuple(v.repeat_interleave(times, dim=0) for v in self.values),
        )


class Block(nn.Module):
    """Pre-norm self-attention and a GELU feed-forward; bidirectional within what it is given."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(
        self, x: Tensor, keys: Tensor | None = None, values: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`x` `[B, L, width]` attends to itself and to the given keys and values; returns x and its own k and v."""
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        all_k, all_v = (
            (k, v) if keys is None or values is None else (torch.cat([keys, k], 2), torch.cat([values, v], 2))
        )
        attended = functional.scaled_dot_product_attention(q, all_k, all_v).transpose(1, 2).flatten(-2)
        x = x + self.out(attended)
        return x + self.mlp(self.norm_mlp(x)), k, v


class Trunk(nn.Module):
    """Layers with block-causal attention of two levels: prefix sees prefix, canvas sees prefix and canvas.

    The mask is never materialised: the prefix is run alone and leaves its keys and values, the canvas is run against
    them. Bidirectional within each level, hence exact (DESIGN: `block_causal`).
    """

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def prefill(self, prefix: Tensor) -> PrefixCache:
        """Run the prefix `[B, P, width]` and keep its keys and values."""
        keys, values = [], []
        for block in self.blocks:
            prefix, k, v = block(prefix)
            keys.append(k)
            values.append(v)
        return PrefixCache(tuple(keys), tuple(values))

    def decode(self, canvas: Tensor, cache: PrefixCache) -> Tensor:
        """Run canvas tokens `[B, L, width]` against a prefix; returns `[B, L, width]`."""
        for block, keys, values in zip(self.blocks, cache.keys, cache.values, strict=True):
            canvas, _, _ = block(canvas, keys, values)
        normed: Tensor = self.norm(canvas)
        return normed
