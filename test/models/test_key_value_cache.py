"""A cache in fixed memory answers like one that grows, and never moves."""

import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.attention import causal_mask
from dvla_ros.models.trunk import PrefixCache, Trunk, TrunkConfig

CONFIG = TrunkConfig(width=32, layers=3, heads=4, kv_heads=2, intermediate=48)
PREFIX, CANVAS = 6, 4


@pytest.fixture
def trunk():
    torch.manual_seed(0)
    return Trunk(CONFIG).eval()


@pytest.fixture
def tokens():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, PREFIX, 32, generator=generator), torch.randn(2, CANVAS, 32, generator=generator)


@torch.no_grad()
def test_decoding_against_fixed_memory_is_decoding_against_a_growing_cache(trunk, tokens):
    prefix, canvas = tokens
    static = trunk.prefill_into(trunk.static_cache(2, PREFIX + CANVAS), prefix)
    expected = trunk.decode(canvas, trunk.prefill(prefix))
    assert static.length == PREFIX
    for _ in range(2):  # the second time the place behind the prefix holds the first canvas
        assert torch.allclose(trunk.decode(canvas, static), expected, atol=1e-6)


@torch.no_grad()
def test_extending_fixed_memory_is_extending_a_growing_cache(trunk, tokens):
    prefix, canvas = tokens
    growing, static = PrefixCache(), trunk.static_cache(2, 16)
    for part in (prefix, canvas[:, :1], canvas[:, 1:]):
        mask = causal_mask(part.shape[1], growing.length + part.shape[1])
        expected, growing = trunk.extend(part, growing, mask)
        hidden, static = trunk.extend(part, static, mask)
        assert torch.allclose(hidden, expected, atol=1e-6)
    assert static.length == growing.length == PREFIX + CANVAS


@torch.no_grad()
def test_fixed_memory_never_moves(trunk, tokens):
    prefix, canvas = tokens
    empty = trunk.static_cache(2, 16)
    filled = trunk.prefill_into(empty, prefix)
    trunk.decode(canvas, filled)
    _, longer = trunk.extend(canvas, filled)
    addresses = [[t.data_ptr() for t in cache.keys + cache.values] for cache in (empty, filled, longer)]
    assert addresses[0] == addresses[1] == addresses[2]


@torch.no_grad()
def test_a_shorter_cache_stays_true_when_a_longer_one_is_made_from_it(trunk, tokens):
    prefix, canvas = tokens
    short = trunk.prefill_into(trunk.static_cache(2, 16), prefix)
    before = trunk.decode(canvas, short)
    trunk.extend(-canvas, short)
    assert torch.equal(trunk.decode(canvas, short), before)


@torch.no_grad()
def test_repeated_fixed_memory_serves_several_canvases_per_prefix(trunk, tokens):
    prefix, _ = tokens
    canvases = torch.randn(6, CANVAS, 32, generator=torch.Generator().manual_seed(2))
    static = trunk.prefill_into(trunk.static_cache(2, PREFIX + CANVAS), prefix).repeat(3)
    expected = trunk.decode(canvases, trunk.prefill(prefix).repeat(3))
    assert torch.allclose(trunk.decode(canvases, static), expected, atol=1e-6)


@torch.no_grad()
def test_what_does_not_fit_is_refused(trunk, tokens):
    prefix, canvas = tokens
    static = trunk.prefill_into(trunk.static_cache(2, PREFIX + CANVAS - 1), prefix)
    with pytest.raises(ConfigurationError, match=r"room for 9 positions and holds 6; 4 more"):
        trunk.decode(canvas, static)
    with pytest.raises(ConfigurationError, match=r"for a batch of 2, got 1"):
        trunk.decode(canvas[:1, :1], static)


def test_fixed_memory_is_not_for_training(trunk, tokens):
    with pytest.raises(ConfigurationError, match="for inference"):
        trunk.prefill_into(trunk.static_cache(2, 16), tokens[0])
