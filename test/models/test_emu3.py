"""Emu3's `config.json`, its ids, and a place for every tensor of a published checkpoint."""

import math
import re
from typing import Any

import pytest

from dvla_ros.errors import CheckpointError
from dvla_ros.models.emu3 import VISUAL, VOCABULARY, Emu3Config, is_emu3, size_ids
from dvla_ros.models.language_model import locate_language_model
from dvla_ros.models.trunk_config import TrunkConfig
from dvla_ros.weights.streaming import expected_tensors, on_meta

PUBLISHED: dict[str, Any] = {
    "architectures": ["Emu3MoE"],
    "model_type": "Emu3",
    "vocab_size": 184622,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-05,
    "rope_theta": 1000000.0,
    "rope_scaling": None,
    "max_position_embeddings": 1650,
    "tie_word_embeddings": False,
    "pad_token_id": 151643,
    "bos_token_id": 151849,
    "eos_token_id": 151850,
    "img_token_id": 151851,
    "boi_token_id": 151852,
    "eoi_token_id": 151853,
    "eol_token_id": 151846,
    "eof_token_id": 151847,
    "image_area": 262144,
    "action_experts": False,
    "action_config": {"num_hidden_layers": 2, "hidden_size": 4096, "intermediate_size": 2048},
    "vision_loss_weight": 0.5,
    "use_blockwise_attn_mask": True,
}


def published_tensors() -> dict[str, tuple[int, ...]]:
    """Those of UD-VLA's files."""
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (184622, 4096),
        "model.norm.weight": (4096,),
        "lm_head.weight": (184622, 4096),
    }
    for i in range(32):
        layer = f"model.layers.{i}"
        for name, rows in (("q_proj", 4096), ("k_proj", 1024), ("v_proj", 1024), ("o_proj", 4096)):
            shapes[f"{layer}.self_attn.{name}.weight"] = (rows, 4096)
        shapes[f"{layer}.mlp.gate_proj.weight"] = shapes[f"{layer}.mlp.up_proj.weight"] = (14336, 4096)
        shapes[f"{layer}.mlp.down_proj.weight"] = (4096, 14336)
        shapes[f"{layer}.input_layernorm.weight"] = shapes[f"{layer}.post_attention_layernorm.weight"] = (4096,)
    return shapes


def test_every_published_tensor_has_its_place_at_true_size():
    network = on_meta(Emu3Config.from_json(PUBLISHED).network)
    expected = expected_tensors(network, locate_language_model)
    assert {name: each.shape for name, each in expected.items()} == published_tensors()
    total = sum(math.prod(shape) for shape in published_tensors().values())
    assert sum(parameter.numel() for parameter in network.parameters()) == total == 8_492_011_520


def test_the_published_config_is_emu3_8b():
    assert is_emu3(PUBLISHED)
    assert Emu3Config.from_json(PUBLISHED) == Emu3Config(TrunkConfig.emu3_8b(), longest=1650)


@pytest.mark.parametrize("architecture", ["Emu3MoE", "Emu3ForCausalLM"])
def test_both_architectures_of_the_training_code_are_read(architecture):
    Emu3Config.from_json({**PUBLISHED, "architectures": [architecture]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action_experts": True}, "action_experts must be False, got True (the experts of Emu3MoE are not run here"),
        ({"vocab_size": 184623}, "vocab_size must be 184622, got 184623"),
        ({"boi_token_id": 151853}, "boi_token_id must be 151852, got 151853"),
        ({"pad_token_id": None}, "pad_token_id must be 151643, got None"),
        ({"architectures": ["Emu3ForConditionalGeneration"]}, "must name Emu3MoE or Emu3ForCausalLM"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings must be False"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling must be None"),
        ({"hidden_act": "gelu"}, "hidden_act must be 'silu', got 'gelu'"),
        ({"max_position_embeddings": 0}, "max_position_embeddings must be a positive number, got 0"),
        ({"num_attention_heads": 7}, "describes no language model"),
    ],
)
def test_a_config_that_cannot_be_run_is_refused(changes, message):
    with pytest.raises(CheckpointError, match=re.escape(message)):
        Emu3Config.from_json({**PUBLISHED, **changes})


def test_all_that_is_missing_is_named_at_once():
    values = {
        key: value for key, value in PUBLISHED.items() if key not in ("hidden_size", "eof_token_id", "rope_theta")
    }
    with pytest.raises(CheckpointError) as refusal:
        Emu3Config.from_json(values)
    for name in ("hidden_size", "eof_token_id", "rope_theta"):
        assert f"{name} is missing" in str(refusal.value)


def test_visual_tokens_fill_the_end_of_the_vocabulary():
    assert (VISUAL.start, len(VISUAL), VISUAL.stop, VOCABULARY) == (151854, 32768, 184622, 184622)


def test_sizes_are_written_digit_by_digit():
    assert size_ids(25, 25) == (16, 9, 17, 20, 9, 17, 20)
    assert size_ids(10, 10) == (16, 9, 16, 15, 9, 16, 15)
