"""The trunk is the published networks: the same weights give the same logits as in `transformers`."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    Emu3ForCausalLM,
    Emu3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    PretrainedConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLTextConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLTextModel

from dvla_ros.models.attention import causal_mask
from dvla_ros.models.head import SlicedHead, TokenRows
from dvla_ros.models.rotary import text_positions
from dvla_ros.models.trunk import PrefixCache, Trunk, TrunkConfig

VOCABULARY, LENGTH, PROMPT = 50, 9, 6
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def rope(theta: float, **more: object) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **more}}


def trunk_config(theirs: PretrainedConfig, **changes: Any) -> TrunkConfig:
    return TrunkConfig(
        width=theirs.hidden_size,
        layers=theirs.num_hidden_layers,
        heads=theirs.num_attention_heads,
        kv_heads=theirs.num_key_value_heads,
        intermediate=theirs.intermediate_size,
        norm_eps=theirs.rms_norm_eps,
        rope_theta=theirs.rope_parameters["rope_theta"],
        **changes,
    )


def randomised(network: torch.nn.Module) -> Any:
    """Weights large enough that a wrong angle, bias or scale shows."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return network.eval()


def copied(theirs: torch.nn.Module, config: TrunkConfig) -> Trunk:
    """Their weights under their own names, without renaming."""
    trunk = Trunk(config).eval()
    state = {name: value for name, value in theirs.state_dict().items() if name != "embed_tokens.weight"}
    trunk.load_state_dict(state)
    return trunk


def some_ids(length: int = LENGTH) -> Tensor:
    return torch.randint(0, VOCABULARY, (2, length), generator=torch.Generator().manual_seed(1))


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()


def llama() -> Any:
    return LlamaForCausalLM(LlamaConfig(**SIZES, **rope(1e4), rms_norm_eps=1e-5))


def llada() -> Any:
    """LLaDA's numbers: as many key heads as query heads, and another theta."""
    return LlamaForCausalLM(LlamaConfig(**{**SIZES, "num_key_value_heads": 4}, **rope(5e5), rms_norm_eps=1e-5))


def emu3() -> Any:
    return Emu3ForCausalLM(Emu3TextConfig(**SIZES, **rope(1e6), rms_norm_eps=1e-5))


def qwen2() -> Any:
    return Qwen2ForCausalLM(Qwen2Config(**SIZES, **rope(1e6), rms_norm_eps=1e-6))


@pytest.mark.parametrize(("make", "qkv_bias"), [(llama, False), (llada, False), (emu3, False), (qwen2, True)])
@torch.no_grad()
def test_logits_are_those_of_transformers(make: Callable[[], Any], qkv_bias: bool):
    theirs, ids = randomised(make()), some_ids()
    trunk, embed = copied(theirs.model, trunk_config(theirs.config, qkv_bias=qkv_bias)), theirs.model.embed_tokens
    head, rows = SlicedHead(theirs.lm_head.weight), TokenRows.of(range(VOCABULARY))
    expected = theirs(ids).logits

    at_once = trunk(embed(ids), causal_mask(LENGTH, LENGTH))
    assert_close(head(at_once, rows), expected)

    cache = trunk.prefill(embed(ids[:, :PROMPT]), causal_mask(PROMPT, PROMPT))
    for position in range(PROMPT, LENGTH):
        hidden, cache = trunk.extend(embed(ids[:, position : position + 1]), cache)
        assert_close(head(hidden, rows), expected[:, position : position + 1])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kv_heads=st.integers(1, 3),
    groups=st.integers(1, 3),
    half_head=st.integers(1, 8),
    theta=st.sampled_from([1e4, 5e5, 1e6]),
    qkv_and_out_bias=st.booleans(),
    mlp_bias=st.booleans(),
)
@torch.no_grad()
def test_any_shape_answers_as_in_transformers(
    kv_heads: int, groups: int, half_head: int, theta: float, qkv_and_out_bias: bool, mlp_bias: bool
):
    heads = {"num_attention_heads": kv_heads * groups, "num_key_value_heads": kv_heads, "head_dim": 2 * half_head}
    biases = {"attention_bias": qkv_and_out_bias, "mlp_bias": mlp_bias}
    theirs = randomised(LlamaModel(LlamaConfig(**{**SIZES, "hidden_size": 36, **heads}, **rope(theta), **biases)))
    config = trunk_config(
        theirs.config,
        head_dim=2 * half_head,
        qkv_bias=qkv_and_out_bias,
        out_bias=qkv_and_out_bias,
        mlp_bias=mlp_bias,
    )
    trunk, ids = copied(theirs, config), some_ids()
    x, expected = theirs.embed_tokens(ids), theirs(ids).last_hidden_state
    assert_close(trunk(x, causal_mask(LENGTH, LENGTH)), expected)
    hidden, cache = trunk.extend(x[:, :PROMPT], PrefixCache(), causal_mask(PROMPT, PROMPT))
    assert_close(hidden, expected[:, :PROMPT])
    hidden, _ = trunk.extend(x[:, PROMPT:], cache, causal_mask(LENGTH - PROMPT, LENGTH))
    assert_close(hidden, expected[:, PROMPT:])


@torch.no_grad()
def test_a_mask_means_what_it_means_in_transformers():
    """Full attention, as Discrete Diffusion VLA needs it: theirs with an explicit mask, ours without any."""
    theirs, ids = randomised(LlamaModel(LlamaConfig(**SIZES, **rope(1e4)))), some_ids()
    trunk, x = copied(theirs, trunk_config(theirs.config)), theirs.embed_tokens(ids)
    everything = torch.ones(2, 1, LENGTH, LENGTH, dtype=torch.bool)
    assert_close(trunk(x), theirs(ids, attention_mask=everything).last_hidden_state)
    drawn = torch.rand(2, LENGTH, LENGTH, generator=torch.Generator().manual_seed(3)) < 0.5
    drawn |= torch.eye(LENGTH, dtype=torch.bool)
    assert_close(trunk(x, drawn), theirs(ids, attention_mask=drawn.unsqueeze(1)).last_hidden_state)


def qwen2_vl() -> tuple[Any, Trunk]:
    sections = [2, 1, 1]
    config = Qwen2VLTextConfig(**SIZES, **rope(1e6, mrope_section=sections), rms_norm_eps=1e-6)
    theirs = randomised(Qwen2VLTextModel(config))
    return theirs, copied(theirs, trunk_config(config, qkv_bias=True, mrope_sections=tuple(sections)))


@torch.no_grad()
def test_three_row_positions_are_those_of_qwen2_vl():
    theirs, trunk = qwen2_vl()
    x = theirs.embed_tokens(some_ids())
    image = torch.tensor([[2, 2, 2, 2], [2, 2, 3, 3], [2, 3, 2, 3]])  # a 2 x 2 image between two words and three
    positions = torch.cat([text_positions(2), image, text_positions(3, start=4)], dim=1)
    per_row = torch.stack([positions, positions + torch.tensor([[1], [0], [2]])], dim=1)
    expected = theirs(inputs_embeds=x, position_ids=per_row).last_hidden_state
    assert_close(trunk(x, causal_mask(LENGTH, LENGTH), per_row), expected)

    cache = trunk.prefill(x[:, :PROMPT], causal_mask(PROMPT, PROMPT), per_row[..., :PROMPT])
    rest = trunk.decode(x[:, PROMPT:], cache, causal_mask(LENGTH - PROMPT, LENGTH), per_row[..., PROMPT:])
    assert_close(rest, expected[:, PROMPT:])


@torch.no_grad()
def test_text_positions_are_those_of_qwen2_vl_without_images():
    theirs, trunk = qwen2_vl()
    ids = some_ids()
    hidden = trunk(theirs.embed_tokens(ids), causal_mask(LENGTH, LENGTH), text_positions(LENGTH))
    assert_close(hidden, theirs(ids).last_hidden_state)
