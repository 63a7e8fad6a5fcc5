"""The cached prefix is the same mathematics as one pass with the block-causal mask."""

import pytest
import torch
from torch.nn import functional

from dvla_ros.models.trunk import Block, Trunk

WIDTH, HEADS, LAYERS = 24, 3, 4
PREFIX, CANVAS = 7, 5


@pytest.fixture
def trunk():
    torch.manual_seed(0)
    return Trunk(WIDTH, HEADS, LAYERS).eval()


@pytest.fixture
def tokens():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, PREFIX, WIDTH, generator=generator), torch.randn(2, CANVAS, WIDTH, generator=generator)


def masked_block(block: Block, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The block written out plainly, every query over every key, with an explicit mask."""
    rows, length, width = x.shape
    q, k, v = block.qkv(block.norm_attention(x)).split(width, dim=-1)
    q, k, v = (t.reshape(rows, length, HEADS, width // HEADS).transpose(1, 2) for t in (q, k, v))
    scores = q @ k.transpose(-1, -2) / (width // HEADS) ** 0.5
    weights = torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=-1)
    x = x + block.out((weights @ v).transpose(1, 2).reshape(rows, length, width))
    return x + block.mlp(block.norm_mlp(x))


def block_causal(prefix: int, canvas: int) -> torch.Tensor:
    """May query i (row) see key j (column)? The prefix sees the prefix, the canvas sees everything."""
    mask = torch.ones(prefix + canvas, prefix + canvas, dtype=torch.bool)
    mask[:prefix, prefix:] = False
    return mask


@torch.no_grad()
def test_decoding_against_the_cache_is_one_pass_with_the_block_causal_mask(trunk, tokens):
    prefix, canvas = tokens
    everything = torch.cat([prefix, canvas], dim=1)
    mask = block_causal(PREFIX, CANVAS)
    for block in trunk.blocks:
        everything = masked_block(block, everything, mask)
    expected = functional.layer_norm(everything, (WIDTH,), trunk.norm.weight, trunk.norm.bias)
    cache = trunk.prefill(prefix)
    assert torch.allclose(trunk.decode(canvas, cache), expected[:, PREFIX:], atol=1e-5)


@torch.no_grad()
def test_without_the_mask_the_answer_would_be_another(trunk, tokens):
    """The mask matters: the comparison above could not pass by accident."""
    prefix, canvas = tokens
    everything = torch.cat([prefix, canvas], dim=1)
    for block in trunk.blocks:
        everything = masked_block(block, everything, torch.ones(PREFIX + CANVAS, PREFIX + CANVAS, dtype=torch.bool))
    cache = trunk.prefill(prefix)
    assert not torch.allclose(trunk.decode(canvas, cache), trunk.norm(everything)[:, PREFIX:], atol=1e-3)


@torch.no_grad()
def test_every_canvas_position_sees_every_other(trunk, tokens):
    prefix, canvas = tokens
    cache = trunk.prefill(prefix)
    before = trunk.decode(canvas, cache)
    for position in range(CANVAS):
        changed = canvas.clone()
        changed[:, position] = -changed[:, position]
        assert ((trunk.decode(changed, cache) - before).abs().amax(dim=(0, 2)) > 1e-4).all()


@torch.no_grad()
def test_a_repeated_cache_serves_several_canvases_per_prefix(trunk, tokens):
    prefix, _ = tokens
    canvases = torch.randn(6, CANVAS, WIDTH, generator=torch.Generator().manual_seed(2))
    cache = trunk.prefill(prefix)
    together = trunk.decode(canvases, cache.repeat(3))
    for row in range(6):
        own = trunk.prefill(prefix[row // 3 : row // 3 + 1])
        assert torch.allclose(together[row : row + 1], trunk.decode(canvases[row : row + 1], own), atol=1e-5)
