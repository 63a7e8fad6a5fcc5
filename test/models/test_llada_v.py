"""LLaDA-V's networks equal `transformers`', and at true size every published tensor is accounted for."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, SiglipVisionConfig, SiglipVisionModel

from dvla_ros.errors import CheckpointError
from dvla_ros.models.llada_v import LladaV, StoredParts, locate_llada_v
from dvla_ros.models.llada_v_config import LladaVConfig
from dvla_ros.weights.streaming import expected_tensors, load_into, on_meta
from dvla_ros.weights.tensor_source import HeldTensors

SMALL: dict[str, Any] = {
    "architectures": ["LlavaLLaDAModelLM"],
    "model_type": "llava_llada",
    "hidden_size": 32,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "vocab_size": 60,
    "mm_hidden_size": 24,
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_tower": "model/siglip2-so400m-patch14-384",
    "mm_vision_select_layer": -2,
    "vision_config": {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 40,
        "image_size": 28,
        "patch_size": 9,
    },
}
TRUE = {
    **{key: value for key, value in SMALL.items() if key != "vision_config"},
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 126464,
    "mm_hidden_size": 1152,
}


def randomised(module: nn.Module) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return module.eval()


def reference() -> tuple[SiglipVisionModel, nn.Sequential, LlamaModel]:
    tower = SiglipVisionModel(SiglipVisionConfig(**SMALL["vision_config"]))
    projector = nn.Sequential(nn.Linear(24, 32), nn.GELU(), nn.Linear(32, 32))
    words = LlamaModel(
        LlamaConfig(
            vocab_size=60,
            hidden_size=32,
            intermediate_size=56,
            num_hidden_layers=2,
            num_attention_heads=4,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        )
    )
    return randomised(tower), randomised(projector), randomised(words)


def published(tower: nn.Module, projector: nn.Module, words: nn.Module) -> dict[str, Tensor]:
    """Under the names that LLaDA-V's training code saves."""
    tensors = {f"model.vision_tower.vision_tower.vision_model.{n}": t for n, t in tower.state_dict().items()}
    tensors = {n: t for n, t in tensors.items() if ".encoder.layers.2." not in n and ".vision_model.head." not in n}
    tensors |= {f"model.mm_projector.{n}": t for n, t in projector.state_dict().items()}
    tensors |= {f"model.{n}": t for n, t in words.state_dict().items()}
    generator = torch.Generator().manual_seed(5)
    tensors["model.image_newline"] = torch.randn(32, generator=generator)
    tensors["lm_head.weight"] = torch.randn(60, 32, generator=generator)
    return tensors


def loaded(tensors: dict[str, Tensor]) -> LladaV:
    model = on_meta(lambda: LladaV(LladaVConfig.from_json(SMALL)))
    load_into(model, HeldTensors(tensors), locate_llada_v, where="a test")
    return model.eval()


@torch.no_grad()
def test_features_and_hidden_states_are_those_of_transformers():
    tower, projector, words = reference()
    model = loaded(published(tower, projector, words))
    tiles = torch.rand(1, 3, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1
    expected = projector(tower(tiles, output_hidden_states=True).hidden_states[-2])[0]
    features = model.image_features(tiles, 28, 28)
    assert features.shape == (9, 32)
    assert (features - expected).abs().max() <= 1e-5 * expected.abs().max()

    ids = torch.randint(0, 60, (2, 11), generator=torch.Generator().manual_seed(2))
    everything = torch.ones(2, 1, 11, 11, dtype=torch.bool)
    hidden = words(ids, attention_mask=everything).last_hidden_state
    language = model.language_model
    assert (language.trunk(language.embed(ids)) - hidden).abs().max() <= 1e-5 * hidden.abs().max()


def published_shapes(tower_layers: int, whole: bool, rows: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of LLaDA-V's files, written down without looking at the network."""
    width, inner, seen, seen_inner = 4096, 12288, 1152, 4304
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (rows, width),
        "model.norm.weight": (width,),
        "lm_head.weight": (rows, width),
        "model.image_newline": (width,),
        "model.mm_projector.0.weight": (width, seen),
        "model.mm_projector.0.bias": (width,),
        "model.mm_projector.2.weight": (width, width),
        "model.mm_projector.2.bias": (width,),
    }
    for layer in range(32):
        start = f"model.layers.{layer}."
        shapes |= {f"{start}self_attn.{kind}_proj.weight": (width, width) for kind in "qkvo"}
        shapes |= {f"{start}mlp.{kind}_proj.weight": (inner, width) for kind in ("gate", "up")}
        shapes[f"{start}mlp.down_proj.weight"] = (width, inner)
        shapes |= {f"{start}{norm}.weight": (width,) for norm in ("input_layernorm", "post_attention_layernorm")}
    tower = "model.vision_tower.vision_tower.vision_model."
    shapes[f"{tower}embeddings.patch_embedding.weight"] = (seen, 3, 14, 14)
    shapes[f"{tower}embeddings.patch_embedding.bias"] = (seen,)
    shapes[f"{tower}embeddings.position_embedding.weight"] = (729, seen)
    for layer in range(tower_layers):
        start = f"{tower}encoder.layers.{layer}."
        for part, out, into in (
            *((f"self_attn.{kind}_proj", seen, seen) for kind in ("q", "k", "v", "out")),
            ("mlp.fc1", seen_inner, seen),
            ("mlp.fc2", seen, seen_inner),
        ):
            shapes |= {f"{start}{part}.weight": (out, into), f"{start}{part}.bias": (out,)}
        shapes |= {f"{start}layer_norm{n}.{kind}": (seen,) for n in (1, 2) for kind in ("weight", "bias")}
    shapes |= {f"{tower}post_layernorm.{kind}": (seen,) for kind in ("weight", "bias")}
    if whole:
        head = f"{tower}head."
        shapes |= {
            f"{head}probe": (1, 1, seen),
            f"{head}attention.in_proj_weight": (3 * seen, seen),
            f"{head}attention.in_proj_bias": (3 * seen,),
            f"{head}attention.out_proj.weight": (seen, seen),
            f"{head}attention.out_proj.bias": (seen,),
            f"{head}layernorm.weight": (seen,),
            f"{head}layernorm.bias": (seen,),
            f"{head}mlp.fc1.weight": (seen_inner, seen),
            f"{head}mlp.fc1.bias": (seen_inner,),
            f"{head}mlp.fc2.weight": (seen, seen_inner),
            f"{head}mlp.fc2.bias": (seen,),
        }
    return shapes


@pytest.mark.parametrize(("layers", "whole", "rows"), [(26, False, 126464), (27, True, 126464), (26, False, 126496)])
def test_every_published_tensor_is_accounted_for_at_true_size(layers: int, whole: bool, rows: int):
    config = LladaVConfig.from_json({**TRUE, "vocab_size": rows})
    model = on_meta(lambda: LladaV(config, StoredParts(whole)))
    found = {name: expected.shape for name, expected in expected_tensors(model, locate_llada_v).items()}
    assert found == published_shapes(layers, whole, rows)


def test_the_language_model_has_the_published_number_of_parameters():
    shapes = published_shapes(26, False, 126464)
    sizes = {name: torch.Size(shape).numel() for name, shape in shapes.items()}
    words = sum(n for name, n in sizes.items() if not any(s in name for s in ("vision", "mm_projector", "newline")))
    assert 2 * words == 16031162368  # bytes in bfloat16, as LLaDA-V's index of the language model says
    assert sum(sizes.values()) == 8_434_837_024  # 8.016 billion of words, 398 million of sight, 22 million between


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"rope_theta": None}, "rope_theta is missing"),
        ({"mm_vision_tower": None}, "mm_vision_tower is missing"),
        ({"mm_vision_tower": "openai/clip-vit-large-patch14-336"}, "only SigLIP towers"),
        ({"mm_projector_type": "linear"}, "mm_projector_type is 'linear', only 'mlp2x_gelu' is known"),
        ({"mm_vision_select_layer": -1}, "mm_vision_select_layer is -1"),
        ({"mm_resampler_type": "qformer"}, "mm_resampler_type is 'qformer'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling is"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings is True"),
        ({"mm_hidden_size": 1152}, "mm_hidden_size 1152, the vision tower has a width of 24"),
        ({"num_attention_heads": 5}, "no language model"),
        ({"vocab_size": "many"}, "vocab_size must be a whole number"),
        ({"d_model": 4096, "n_heads": 32}, r"original LLaDA's keys \['d_model', 'n_heads'\].*rename_checkpoint"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(CheckpointError, match=message):
        LladaVConfig.from_json({**SMALL, **changes})


def test_a_towers_own_configuration_comes_before_the_checkpoints():
    vision = {"vision_config": {**SMALL["vision_config"], "image_size": 36}}
    assert LladaVConfig.from_json(SMALL, vision).vision.patches == 16


def test_weights_that_do_not_fit_are_refused_by_name():
    tensors = published(*reference())
    del tensors["model.mm_projector.2.bias"]
    tensors["model.layers.0.self_attn.q_proj.bias"] = torch.zeros(32)
    tensors["lm_head.weight"] = torch.zeros(61, 32)
    with pytest.raises(CheckpointError, match="mm_projector.2.bias") as refusal:
        loaded(tensors)
    assert "model.layers.0.self_attn.q_proj.bias" in str(refusal.value)
    assert "lm_head.weight is [61, 32], needs [60, 32]" in str(refusal.value)
