"""The one decoder-only transformer: everything at once, or a prefix first and then what sees it.

It takes and gives hidden states: embeddings and heads belong to the models around it. Who may see whom is the caller's
choice, through a mask (`attention.py`). Where no earlier position sees a later one, running the prefix once and the
canvas against its cache is the same mathematics as running both together.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.key_value_cache import CacheT, KeysValues, KeyValueCache, StaticCache
from dvla_ros.models.key_value_cache import PrefixCache as PrefixCache
from dvla_ros.models.layer import Layer, make_norm
from dvla_ros.models.rotary import Rotary, Rotation
from dvla_ros.models.trunk_config import TrunkConfig as TrunkConfig


class Trunk(nn.Module):
    """Layers and a last normalisation; parameters are named as in published Llama weights.

    Shapes and defaults, the same for every method:

    - `x` is `[B, L, W]`.
    - `mask` is bool `[L, K]` or `[B, L, K]`, True where a query sees a key; K counts the cached positions first. None
      lets every query see everything, which is also the fastest. A mask of fewer rows `[M, K]` is that of the last M
      queries, and those before them see the first K - M keys: all but the last queries' own.
    - `positions` are int64 `[L]` or `[B, L]`, by default counted on from the end of the cache. With mrope sections they
      are `[3, L]` or `[3, B, L]` and must be given. A trunk without rotary embedding takes none.

    Attributes:
        checkpointing: Whether a layer keeps nothing but its input for the gradient, and is run once more when that is
            computed: a third more time for most of the memory. Without gradients it changes nothing.
    """

    checkpointing = False

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.layers))
        self.norm = make_norm(config)
        self.rotary = (
            None if config.rope_theta is None else Rotary(config.head_size, config.rope_theta, config.mrope_sections)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None, positions: Tensor | None = None) -> Tensor:
        """Run everything at once; hidden states `[B, L, W]`."""
        return self.decode(x, PrefixCache(), mask, positions)

    def prefill(self, x: Tensor, mask: Tensor | None = None, positions: Tensor | None = None) -> PrefixCache:
        """Run a prefix and keep its keys and values; its hidden states are not computed to the end."""
        return self.prefill_into(PrefixCache(), x, mask, positions)

    def prefill_into(
        self, cache: CacheT, x: Tensor, mask: Tensor | None = None, positions: Tensor | None = None
    ) -> CacheT:
        """`prefill` behind what a cache holds already; returns the longer cache."""
        rotation = self._rotation(x, cache, positions)
        *layers, last = self.layers
        x, joined = self._run_and_keep(layers, x, rotation, mask, cache)
        return cache.extended([*joined, cast(Layer, last).keys_values(x, rotation, cache)])

    def decode(
        self, x: Tensor, cache: KeyValueCache, mask: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """Run a canvas that sees the cache and itself, and leave the cache as it is; hidden states `[B, L, W]`."""
        rotation = self._rotation(x, cache, positions)
        x = self._run(self.layers, x, rotation, mask, cache)
        return cast(Tensor, self.norm(x))

    def decode_last(self, x: Tensor, count: int, cache: PrefixCache, mask: Tensor | None = None) -> Tensor:
        """As `decode`, of the last `count` positions alone `[B, count, W]`: the last layer runs no others."""
        rotation = self._rotation(x, cache, None)
        *layers, last = self.layers
        x = self._run(layers, x, rotation, mask, cache)
        last = cast(Layer, last)
        first = x.shape[1] - count
        before = None if rotation is None else rotation.between(0, first)
        after = None if rotation is None else rotation.between(first, x.shape[1])
        keys, values = last.keys_values(x[:, :first], before, cache)
        rows = None if mask is None else mask[..., -count:, :]
        own = PrefixCache((keys,) * len(self.layers), (values,) * len(self.layers))
        x = self._run([last], x[:, first:], after, rows, own)
        return cast(Tensor, self.norm(x))

    def extend(
        self, x: Tensor, cache: CacheT, mask: Tensor | None = None, positions: Tensor | None = None
    ) -> tuple[Tensor, CacheT]:
        """Run the next positions; hidden states `[B, L, W]` and the cache that holds them too."""
        rotation = self._rotation(x, cache, positions)
        x, joined = self._run_and_keep(self.layers, x, rotation, mask, cache)
        return self.norm(x), cache.extended(joined)

    def static_cache(self, batch_size: int, capacity: int) -> StaticCache:
        """An empty cache with room for `capacity` positions, on this trunk's device and in its type."""
        weight = next(self.parameters())
        shape = (batch_size, self.config.kv_heads, capacity, self.config.head_size)
        keys, values = (tuple(weight.new_zeros(shape) for _ in self.layers) for _ in range(2))
        return StaticCache(keys, values)

    def pack(self) -> None:
        """Make inference a little faster: one multiplication for queries, keys and values of a layer instead of three.

        To be called once the weights are loaded and on their device. Takes no memory, changes neither the parameters'
        names nor the answers, and ends by itself when weights are loaded, moved or to be trained.
        """
        for layer in self.layers:
            cast(Layer, layer).self_attn.pack()

    def unpack(self) -> None:
        """Undo `pack`."""
        for layer in self.layers:
            cast(Layer, layer).self_attn.unpack()

    def place(self) -> tuple[int, int]:
        """Another one when the weights have moved to other memory, which a captured CUDA graph would not notice."""
        first = cast(Layer, self.layers[0]).self_attn
        return cast(Tensor, self.norm.weight).data_ptr(), first.packed_at()

    def _run(
        self,
        layers: "nn.ModuleList | list[nn.Module]",
        x: Tensor,
        rotation: Rotation | None,
        mask: Tensor | None,
        cache: KeyValueCache,
    ) -> Tensor:
        mask = _of_all_heads(mask)
        for layer in layers:
            x, _ = self._layer(layer, x, rotation, mask, cache)
        return x

    def _run_and_keep(
        self,
        layers: "nn.ModuleList | list[nn.Module]",
        x: Tensor,
        rotation: Rotation | None,
        mask: Tensor | None,
        cache: KeyValueCache,
    ) -> tuple[Tensor, list[KeysValues]]:
        """`_run`, and the keys and values that were in view of each layer."""
        mask, joined = _of_all_heads(mask), []
        for layer in layers:
            x, in_view = self._layer(layer, x, rotation, mask, cache)
            joined.append(in_view)
        return x, joined

    def _layer(
        self, layer: nn.Module, x: Tensor, rotation: Rotation | None, mask: Tensor | None, cache: KeyValueCache
    ) -> tuple[Tensor, KeysValues]:
        run: tuple[Tensor, KeysValues]
        if self.checkpointing and torch.is_grad_enabled():
            run = checkpoint(layer, x, rotation, mask, cache, use_reentrant=False)
        else:
            run = layer(x, rotation, mask, cache)
        return run

    def _rotation(self, x: Tensor, cache: KeyValueCache, positions: Tensor | None) -> Rotation | None:
        if self.rotary is None:
            if positions is not None:
                raise ConfigurationError("This trunk has no rotary embedding; add positions to the tokens instead.")
            return None
        if positions is None:
            if self.config.mrope_sections is not None:
                raise ConfigurationError("A trunk with mrope sections needs positions [3, L] or [3, B, L]; got none.")
            positions = torch.arange(cache.length, cache.length + x.shape[1], device=x.device)
        return self.rotary.rotation(positions, x.dtype)


def _of_all_heads(mask: Tensor | None) -> Tensor | None:
    """`[B, L, K]` to `[B, 1, L, K]`; others as they are."""
    return mask.unsqueeze(1) if mask is not None and mask.ndim == 3 else mask
