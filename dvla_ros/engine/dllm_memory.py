"""A denoising step of dLLM-Cache: prefix and canvas are computed when asked, else the canvas positions that changed.

Algorithm of arXiv 2506.06295. Keys are remembered turned to their positions, which never change; rows of the mask are
gathered by position, so that any attention variant may be used.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.models.attention import all_rows
from dvla_ros.models.key_value_cache import PrefixCache
from dvla_ros.models.layer import Layer
from dvla_ros.models.rotary import Rotation
from dvla_ros.models.trunk import Trunk


class Refresh(NamedTuple):
    """What a step computes anew: the prompt or nothing of it, the whole canvas or a part of it."""

    prompt: bool
    canvas: bool


@dataclass(frozen=True)
class LayerMemory:
    """What one layer remembers, written in place.

    Attributes:
        keys: `[B, kv_heads, S, head_dim]`, of settled positions, prompt and canvas.
        values: Likewise.
        attended: `[B, R, W]`, what attention gave for the canvas.
        fed: `[B, R, W]`, what the feed-forward part gave.
        first: Where the canvas begins among the S positions.
    """

    keys: Tensor
    values: Tensor
    attended: Tensor
    fed: Tensor
    first: int

    def canvas_values(self) -> Tensor:
        """`[B, kv_heads, R, head_dim]`."""
        return self.values[:, :, self.first :]

    def write(self, start: int, keys: Tensor, values: Tensor) -> None:
        """Remember neighbouring positions."""
        stop = start + keys.shape[2]
        self.keys[:, :, start:stop].copy_(keys)
        self.values[:, :, start:stop].copy_(values)

    def write_canvas(self, at: Tensor | None, keys: Tensor, values: Tensor) -> None:
        """Remember canvas positions `[B, k]`; None for all."""
        if at is None:
            return self.write(self.first, keys, values)
        index = at[:, None, :, None].expand_as(keys)
        self.keys[:, :, self.first :].scatter_(2, index, keys)
        self.values[:, :, self.first :].scatter_(2, index, values)


@dataclass(frozen=True)
class _Step:
    """What all layers of one denoising step share.

    Attributes:
        prompt_turn: Rotation of the positions between the settled ones and the canvas.
        canvas_turn: Of the canvas.
        prompt_mask: bool `[1 or B, 1, M, S]`; None where everything is seen.
        canvas_mask: bool `[1 or B, R, S]`, likewise.
        chosen: Canvas positions to compute; None: all of them.
    """

    prompt_turn: Rotation | None
    canvas_turn: Rotation | None
    prompt_mask: Tensor | None
    canvas_mask: Tensor | None
    chosen: int | None


class DllmMemory:
    """A `StepMemory` whose steps are of a `Refresh`; the first one after `load` must compute everything.

    Args:
        trunk: With its weights.
        settled: Keys and values of the settled positions, of one row or of all; may be empty.
        rest: `[1 or B, M, W]`, the prompt: what stands between these and the canvas.
        canvas: `[B, R, W]`, an example.
        ratio: Share of the canvas that is computed where not all of it is.
    """

    def __init__(self, trunk: Trunk, settled: PrefixCache, rest: Tensor, canvas: Tensor, ratio: float) -> None:
        self._trunk, self._rest = trunk, rest.clone()
        self._settled, self._first = settled.length, settled.length + rest.shape[1]
        self._chosen = int(ratio * canvas.shape[1])
        self.layers = tuple(self._set_aside(canvas) for _ in trunk.layers)
        self.load(settled, rest)

    def load(self, settled: PrefixCache, rest: Tensor) -> None:
        """See `StepMemory`."""
        self._rest.copy_(rest)
        for layer, keys, values in zip(self.layers, settled.keys, settled.values, strict=bool(settled.keys)):
            layer.write(0, keys, values)

    def step(self, kind: Hashable, canvas: Tensor, mask: Tensor | None) -> Tensor:
        """See `StepMemory`; the kind is a `Refresh`, and the steps before must have been of the same canvases."""
        assert isinstance(kind, Refresh)
        prompt = None
        if kind.prompt:
            prompt = self._rest.expand(len(canvas), -1, -1)
        shared = self._shared(kind, canvas, mask)
        x = canvas
        for layer, memory in zip(self._trunk.layers, self.layers, strict=True):
            prompt, x = self._layer(cast(Layer, layer), memory, prompt, x, shared)
        return cast(Tensor, self._trunk.norm(x))

    def _set_aside(self, canvas: Tensor) -> LayerMemory:
        config, (batch_size, length, _) = self._trunk.config, canvas.shape
        shape = (batch_size, config.kv_heads, self._first + length, config.head_size)
        return LayerMemory(
            canvas.new_empty(shape),
            canvas.new_empty(shape),
            torch.empty_like(canvas),
            torch.empty_like(canvas),
            self._first,
        )

    def _shared(self, kind: Refresh, canvas: Tensor, mask: Tensor | None) -> _Step:
        prompt_turn = canvas_turn = prompt_mask = canvas_mask = None
        if self._trunk.rotary is not None:
            positions = torch.arange(self._first + canvas.shape[1], device=canvas.device)
            prompt_turn = self._trunk.rotary.rotation(positions[self._settled : self._first], canvas.dtype)
            canvas_turn = self._trunk.rotary.rotation(positions[self._first :], canvas.dtype)
        if mask is not None:
            between = self._first - self._settled
            mask = all_rows(mask, between + canvas.shape[1]).expand(len(canvas), -1, -1)
            prompt_mask, canvas_mask = mask[:, :between].unsqueeze(1), mask[:, between:]
        return _Step(prompt_turn, canvas_turn, prompt_mask, canvas_mask, None if kind.canvas else self._chosen)

    def _layer(
        self, layer: Layer, memory: LayerMemory, prompt: Tensor | None, x: Tensor, step: _Step
    ) -> tuple[Tensor | None, Tensor]:
        """One layer: prompt `[B, M, W]` where it is computed, and canvas `[B, R, W]`."""
        attention, prompt_queries = layer.self_attn, None
        if prompt is not None:
            prompt_queries, keys, values = attention.project(layer.input_layernorm(prompt), step.prompt_turn)
            memory.write(self._settled, keys, values)
        at, queries = _project_canvas(layer, x, memory, step)
        seen = memory.keys, memory.values
        if prompt is not None and prompt_queries is not None and memory is not self.layers[-1]:
            prompt = prompt + attention.attend(prompt_queries, *seen, step.prompt_mask)
            prompt = prompt + layer.feed(prompt)
        _renew(memory.attended, at, lambda: attention.attend(queries, *seen, _mask_rows(step, at)))
        x = x + memory.attended
        _renew(memory.fed, at, lambda: layer.feed(_rows(x, at)))
        return prompt, x + memory.fed


def _project_canvas(layer: Layer, x: Tensor, memory: LayerMemory, step: _Step) -> tuple[Tensor | None, Tensor]:
    """Which positions `[B, k]` are computed, None for all, and their queries; keys and values are remembered."""
    attention, normed = layer.self_attn, layer.input_layernorm(x)
    at, turn = None, step.canvas_turn
    if step.chosen is not None:
        at = _least_alike(attention.values(normed), memory.canvas_values(), step.chosen)
        turn = None if turn is None else turn.at(at)
    queries, keys, values = attention.project(_rows(normed, at), turn)
    memory.write_canvas(at, keys, values)
    return at, queries


def _renew(held: Tensor, at: Tensor | None, compute: Callable[[], Tensor]) -> None:
    """Compute what is held `[B, R, W]`; where only some positions are computed, put them in place of the old ones."""
    if at is None:
        held.copy_(compute())
    elif at.shape[1]:
        new = compute()
        held.scatter_(1, at.unsqueeze(-1).expand_as(new), new)


def _least_alike(new: Tensor, old: Tensor, count: int) -> Tensor:
    """Positions int64 `[B, count]` whose values `[B, heads, R, d]` point elsewhere than before."""
    alike = functional.cosine_similarity(_joined(new).float(), _joined(old).float(), dim=-1)
    return alike.topk(count, dim=-1, largest=False).indices


def _joined(heads: Tensor) -> Tensor:
    """`[B, heads, R, d]` to `[B, R, heads * d]`."""
    return heads.transpose(1, 2).flatten(-2)


def _rows(x: Tensor, at: Tensor | None) -> Tensor:
    """The rows `[B, k]` of `[B, R, W]`; all of them for None."""
    return x if at is None else x.gather(1, at.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def _mask_rows(step: _Step, at: Tensor | None) -> Tensor | None:
    """Rows of the mask for the canvas queries, `[B, 1, k, S]`."""
    rows = step.canvas_mask
    if rows is None:
        return None
    if at is not None:
        rows = rows.gather(1, at.unsqueeze(-1).expand(-1, -1, rows.shape[-1]))
    return rows.unsqueeze(1)
