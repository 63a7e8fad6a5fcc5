"""A prefix run once and a canvas run against it are the same mathematics as one pass with a mask."""

import copy

import pytest
import torch
from torch.nn import functional

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.attention import all_rows, causal_mask
from dvla_ros.models.layer import Layer
from dvla_ros.models.trunk import PrefixCache, Trunk, TrunkConfig

WIDTH, HEADS, LAYERS = 24, 3, 4
PREFIX, CANVAS = 7, 5
LLAMA_LIKE = TrunkConfig(width=32, layers=3, heads=4, kv_heads=2, intermediate=48, qkv_bias=True)
SMALL = TrunkConfig.small(WIDTH, HEADS, LAYERS)


def random_trunk(config: TrunkConfig) -> Trunk:
    torch.manual_seed(0)
    return Trunk(config).eval()


def random_tokens(rows: int, length: int, width: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(rows, length, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[SMALL, LLAMA_LIKE], ids=["small", "llama"])
def trunk(request):
    return random_trunk(request.param)


@pytest.fixture
def tokens(trunk):
    return random_tokens(2, PREFIX, trunk.config.width), random_tokens(2, CANVAS, trunk.config.width, seed=2)


def masked_layer(layer: Layer, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A small layer written out plainly, every query over every key, with an explicit mask."""
    rows, length, width = x.shape
    attention, normed = layer.self_attn, layer.input_layernorm(x)
    projected = (attention.q_proj(normed), attention.k_proj(normed), attention.v_proj(normed))
    q, k, v = (t.reshape(rows, length, HEADS, width // HEADS).transpose(1, 2) for t in projected)
    scores = q @ k.transpose(-1, -2) / (width // HEADS) ** 0.5
    weights = torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=-1)
    x = x + attention.o_proj((weights @ v).transpose(1, 2).reshape(rows, length, width))
    return x + layer.mlp.down_proj(functional.gelu(layer.mlp.up_proj(layer.post_attention_layernorm(x))))


def block_causal(prefix: int, canvas: int) -> torch.Tensor:
    """May query i (row) see key j (column)? The prefix sees the prefix, the canvas sees everything."""
    mask = torch.ones(prefix + canvas, prefix + canvas, dtype=torch.bool)
    mask[:prefix, prefix:] = False
    return mask


@torch.no_grad()
def test_the_small_trunk_is_the_plain_formula():
    trunk, x = random_trunk(SMALL), random_tokens(2, PREFIX + CANVAS, WIDTH)
    mask, expected = block_causal(PREFIX, CANVAS), x
    for layer in trunk.layers:
        expected = masked_layer(layer, expected, mask)
    expected = functional.layer_norm(expected, (WIDTH,), trunk.norm.weight, trunk.norm.bias)
    assert torch.allclose(trunk(x, mask), expected, atol=1e-5)


@torch.no_grad()
def test_decoding_against_the_cache_is_one_pass_with_the_block_causal_mask(trunk, tokens):
    prefix, canvas = tokens
    expected = trunk(torch.cat(tokens, dim=1), block_causal(PREFIX, CANVAS))[:, PREFIX:]
    assert torch.allclose(trunk.decode(canvas, trunk.prefill(prefix)), expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("canvases", [1, 2])
def test_rows_of_the_last_queries_alone_are_a_whole_mask(trunk, tokens, canvases):
    """Two actions that see each other in one row and not in the other; what stands before does not see them."""
    prefix, canvas = tokens
    rows = torch.ones(canvases, 2, PREFIX + CANVAS, dtype=torch.bool)
    rows[0, 0, -1] = False
    cache, whole = trunk.prefill(prefix), all_rows(rows, CANVAS)
    assert not torch.equal(whole, torch.ones_like(whole))
    assert torch.allclose(trunk.decode(canvas, cache, rows), trunk.decode(canvas, cache, whole), atol=1e-6)
    for count in (1, 2, 4):
        assert torch.allclose(
            trunk.decode_last(canvas, count, cache, rows), trunk.decode_last(canvas, count, cache, whole), atol=1e-6
        )


@torch.no_grad()
def test_without_the_mask_the_answer_would_be_another(trunk, tokens):
    """The mask matters: the comparison above could not pass by accident."""
    prefix, canvas = tokens
    full = trunk(torch.cat(tokens, dim=1))[:, PREFIX:]
    assert not torch.allclose(trunk.decode(canvas, trunk.prefill(prefix)), full, atol=1e-3)


@torch.no_grad()
def test_every_canvas_position_sees_every_other(trunk, tokens):
    prefix, canvas = tokens
    cache = trunk.prefill(prefix)
    before = trunk.decode(canvas, cache)
    for position in range(CANVAS):
        changed = canvas.clone()
        changed[:, position] = -changed[:, position]
        assert ((trunk.decode(changed, cache) - before).abs().amax(dim=(0, 2)) > 1e-5).all()


@torch.no_grad()
def test_decoding_leaves_the_cache_as_it_was(trunk, tokens):
    prefix, canvas = tokens
    cache = trunk.prefill(prefix)
    before = copy.deepcopy(cache)
    first = trunk.decode(canvas, cache)
    assert torch.equal(trunk.decode(canvas, cache), first)
    assert all(torch.equal(a, b) for a, b in zip(cache.keys + cache.values, before.keys + before.values, strict=True))


@torch.no_grad()
def test_extending_one_position_at_a_time_is_one_causal_pass(trunk, tokens):
    x = torch.cat(tokens, dim=1)
    length = x.shape[1]
    hidden, cache = trunk.extend(x[:, :PREFIX], PrefixCache(), causal_mask(PREFIX, PREFIX))
    answers = [hidden]
    for position in range(PREFIX, length):
        hidden, cache = trunk.extend(x[:, position : position + 1], cache)
        answers.append(hidden)
    assert cache.length == length
    assert torch.allclose(torch.cat(answers, dim=1), trunk(x, causal_mask(length, length)), atol=1e-5)


@torch.no_grad()
def test_a_prefix_may_be_prefilled_in_parts(trunk, tokens):
    prefix, canvas = tokens
    cache = trunk.prefill(prefix[:, :4], causal_mask(4, 4))
    cache = trunk.prefill_into(cache, prefix[:, 4:], causal_mask(PREFIX - 4, PREFIX))
    whole = trunk.prefill(prefix, causal_mask(PREFIX, PREFIX))
    assert torch.allclose(trunk.decode(canvas, cache), trunk.decode(canvas, whole), atol=1e-5)


@torch.no_grad()
def test_a_repeated_cache_serves_several_canvases_per_prefix(trunk, tokens):
    prefix, _ = tokens
    canvases = random_tokens(6, CANVAS, trunk.config.width, seed=3)
    together = trunk.decode(canvases, trunk.prefill(prefix).repeat(3))
    for row in range(6):
        own = trunk.prefill(prefix[row // 3 : row // 3 + 1])
        assert torch.allclose(together[row : row + 1], trunk.decode(canvases[row : row + 1], own), atol=1e-5)


def test_gradients_reach_the_prefix_through_a_repeated_cache(trunk, tokens):
    prefix = tokens[0].requires_grad_()
    canvases = random_tokens(4, CANVAS, trunk.config.width, seed=3)
    weights = random_tokens(4, CANVAS, trunk.config.width, seed=4)
    (trunk.decode(canvases, trunk.prefill(prefix).repeat(2)) * weights).sum().backward()
    through_cache, prefix.grad = prefix.grad, None
    everything = torch.cat([prefix.repeat_interleave(2, dim=0), canvases], dim=1)
    (trunk(everything, block_causal(PREFIX, CANVAS))[:, PREFIX:] * weights).sum().backward()
    assert through_cache.abs().max() > 1e-3
    assert torch.allclose(through_cache, prefix.grad, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_rows_may_have_masks_of_their_own(trunk, tokens):
    x = torch.cat(tokens, dim=1)
    length = x.shape[1]
    masks = torch.stack([block_causal(PREFIX, CANVAS), causal_mask(length, length)])
    together = trunk(x, masks)
    for row in range(2):
        assert torch.allclose(together[row], trunk(x[row : row + 1], masks[row])[0], atol=1e-5)


@torch.no_grad()
def test_positions_count_on_from_the_cache():
    trunk = random_trunk(LLAMA_LIKE)
    prefix, canvas = random_tokens(2, PREFIX, 32), random_tokens(2, CANVAS, 32, seed=2)
    cache = trunk.prefill(prefix)
    by_default = trunk.decode(canvas, cache)
    assert torch.equal(by_default, trunk.decode(canvas, cache, positions=torch.arange(PREFIX, PREFIX + CANVAS)))
    assert not torch.allclose(by_default, trunk.decode(canvas, cache, positions=torch.arange(CANVAS)), atol=1e-3)


def test_positions_where_there_is_no_rotary_embedding_are_an_error():
    with pytest.raises(ConfigurationError, match="no rotary embedding"):
        random_trunk(SMALL)(random_tokens(1, 3, WIDTH), positions=torch.arange(3))


def test_mrope_has_no_default_positions():
    config = TrunkConfig(width=32, layers=1, heads=4, kv_heads=2, intermediate=48, mrope_sections=(2, 1, 1))
    with pytest.raises(ConfigurationError, match=r"needs positions \[3, L\]"):
        random_trunk(config)(random_tokens(1, 3, 32))


@torch.no_grad()
def test_a_packed_trunk_answers_the_same(trunk, tokens):
    prefix, canvas = tokens
    expected, names = trunk.decode(canvas, trunk.prefill(prefix)), list(trunk.state_dict())
    trunk.pack()
    assert torch.allclose(trunk.decode(canvas, trunk.prefill(prefix)), expected, atol=1e-6)
    assert list(trunk.state_dict()) == names


@pytest.mark.parametrize("change", ["load", "assign", "cast", "in_place"])
@torch.no_grad()
def test_a_packed_trunk_never_answers_with_old_weights(change, trunk, tokens):
    prefix, _ = tokens
    torch.manual_seed(5)
    other = Trunk(trunk.config).eval()
    trunk.pack()
    if change in ("load", "assign"):
        trunk.load_state_dict(copy.deepcopy(other.state_dict()), assign=change == "assign")
    elif change == "cast":
        other, trunk, prefix = other.double(), trunk.double(), prefix.double()
        for own, new in zip(trunk.parameters(), other.parameters(), strict=True):
            own.copy_(new)
    else:
        for own, new in zip(trunk.parameters(), other.parameters(), strict=True):
            own.copy_(new)
    assert torch.allclose(trunk(prefix), other(prefix), atol=1e-6)


def test_a_packed_trunk_can_be_trained(trunk, tokens):
    trunk.pack()
    trunk(tokens[0])[..., 0].sum().backward()
    assert all(parameter.grad is not None for parameter in trunk.parameters())
    trunk.train()
    assert trunk.layers[0].self_attn._packed is None
