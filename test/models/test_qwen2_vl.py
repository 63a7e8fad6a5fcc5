"""Qwen2-VL at small sizes equals `transformers`, given the same weights."""

from typing import Any

import pytest
import torch
from transformers import Qwen2VLConfig as TheirConfig
from transformers import Qwen2VLForConditionalGeneration

from dvla_ros.models.qwen2_vl import Question, Qwen2VL
from dvla_ros.models.qwen2_vl_config import Qwen2VLConfig
from dvla_ros.models.qwen2_vl_positions import Grid

IMAGE, START, STOP, END = 50, 51, 52, 5
GRIDS = (Grid(1, 4, 6), Grid(1, 6, 4), Grid(1, 2, 2))
SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
    "vision_config": {
        "depth": 2,
        "embed_dim": 16,
        "hidden_size": 32,
        "num_heads": 2,
        "mlp_ratio": 2,
        "in_chans": 3,
        "patch_size": 4,
        "spatial_patch_size": 4,
    },
    "image_token_id": IMAGE,
    "video_token_id": 53,
    "vision_start_token_id": START,
    "vision_end_token_id": STOP,
    "tie_word_embeddings": True,
    "bos_token_id": 6,
    "eos_token_id": END,
    "max_position_embeddings": 512,
}


def theirs(tied: bool = True) -> Any:
    """Their network with weights large enough that a wrong angle, order or scale shows."""
    network = Qwen2VLForConditionalGeneration(TheirConfig(**{**SIZES, "tie_word_embeddings": tied})).eval()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            offset = 1.0 if "norm" in name or "ln_q" in name else 0.0
            parameter.copy_(offset + torch.randn(parameter.shape, generator=draw) * 0.15)
    return network


def ours(network: Any, tied: bool = True) -> Qwen2VL:
    """Ours with their weights: names are changed here, letter by letter, and nothing may be left over."""
    copied = {}
    for name, value in network.state_dict().items():
        if name.startswith("model.visual."):
            copied[name.removeprefix("model.")] = value
        elif name.startswith("model.language_model.embed_tokens."):
            copied[name.replace("model.language_model", "language")] = value
        elif name.startswith("model.language_model."):
            copied[name.replace("model.language_model", "language.trunk")] = value
        else:
            copied["language." + name] = value
    model = Qwen2VL(Qwen2VLConfig.from_json({**SIZES, "tie_word_embeddings": tied})).eval()
    model.load_state_dict(copied, strict=True)
    return model


def question(grids: tuple[Grid, ...] = GRIDS, words: int = 7) -> Question:
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(7, 50, (3,), generator=draw).tolist()
    for grid in grids:
        ids += [START, *[IMAGE] * (grid.total // 4), STOP]
    ids += torch.randint(7, 50, (words,), generator=draw).tolist()
    patches = torch.randn(sum(grid.total for grid in grids), 3 * 2 * 4 * 4, generator=draw)
    return Question(torch.tensor(ids), patches, grids)


def their_inputs(asked: Question) -> dict[str, torch.Tensor]:
    inputs = {"input_ids": asked.ids[None], "attention_mask": torch.ones_like(asked.ids)[None]}
    if not asked.grids:
        return inputs
    return {
        **inputs,
        "pixel_values": asked.patches,
        "image_grid_thw": torch.tensor(asked.grids),
        "mm_token_type_ids": (asked.ids == IMAGE).int()[None],
    }


def furthest(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("grids", [GRIDS, GRIDS[:1], ()])
@torch.no_grad()
def test_hidden_states_are_those_of_transformers(grids):
    network, asked = theirs(), question(grids)
    expected = network.model(**their_inputs(asked)).last_hidden_state
    assert furthest(ours(network).read(asked).hidden, expected) <= 1e-5


@torch.no_grad()
def test_image_features_are_those_of_transformers():
    network, asked = theirs(), question()
    expected = torch.cat(network.model.get_image_features(asked.patches, torch.tensor(GRIDS)).pooler_output)
    assert furthest(ours(network).features(asked.patches, GRIDS), expected) <= 1e-5


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("grids", [GRIDS, ()])
@torch.no_grad()
def test_the_answer_is_that_of_transformers_greedy_generation(grids, tied):
    network, asked, longest = theirs(tied), question(grids), 12
    generated = network.generate(
        **their_inputs(asked),
        max_new_tokens=longest,
        do_sample=False,
        eos_token_id=END,
        pad_token_id=END,
        output_hidden_states=True,
        return_dict_in_generate=True,
    )
    expected = generated.sequences[0, len(asked.ids) :]
    model = ours(network, tied)
    said = model.say(model.read(asked, longest), longest)
    assert len(set(expected.tolist())) > 1  # else anything would be right
    assert said.tokens.tolist() == expected.tolist()
    after = torch.cat([step[-1] for step in generated.hidden_states[1:]], dim=1)
    assert said.evaluations == len(expected) - 1
    assert furthest(said.hidden, after) <= 1e-5


@torch.no_grad()
def test_an_answer_stops_at_its_end():
    network, asked = theirs(), question()
    model = ours(network)
    free = model.say(model.read(asked, 8), 8).tokens.tolist()
    stop = free[3]
    model.config = Qwen2VLConfig.from_json({**SIZES, "eos_token_id": [stop, END]})
    said = model.say(model.read(asked, 8), 8).tokens.tolist()
    assert said == free[: free.index(stop) + 1]


@torch.no_grad()
def test_an_answer_that_ends_at_once_has_no_hidden_states():
    model, asked = ours(theirs()), question()
    first = int(model.say(model.read(asked, 1), 1).tokens[0])
    model.config = Qwen2VLConfig.from_json({**SIZES, "eos_token_id": first})
    said = model.say(model.read(asked, 8), 8)
    assert said.tokens.tolist() == [first]
    assert list(said.hidden.shape) == [1, 0, 32]


@torch.no_grad()
def test_an_answer_breaks_off_when_it_is_late():
    model = ours(theirs())
    asked = iter([False, False, True])
    assert len(model.say(model.read(question(), 12), 12, lambda: next(asked)).tokens) == 3


@torch.no_grad()
def test_the_answer_in_one_run_is_the_answer_word_by_word():
    model, asked = ours(theirs()), question()
    said = model.say(model.read(asked, 6), 6)
    ids = torch.cat([asked.ids, said.tokens[:-1]])
    at_once = model.read(Question(ids, asked.patches, asked.grids))
    assert furthest(said.hidden, at_once.hidden[:, len(asked.ids) :]) <= 1e-5
