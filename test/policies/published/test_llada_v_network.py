"""LLaDA-VLA as a whole equals `transformers`' parts put together by the definition, from one folder on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaModel, SiglipVisionConfig, SiglipVisionModel

from dvla_ros.control.observation import Observation
from dvla_ros.errors import ObservationError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.fresh_llada_v import write_fresh_llada_v
from dvla_ros.policies.published.llada_v_layout import LladaVLayout, LladaVSetup
from dvla_ros.policies.published.llada_v_network import LladaVContext, LladaVNetwork
from dvla_ros.weights.checkpoint_folder import json_in

FIRST_ACTION, MASK = 126352, 126336
TEXT_BEFORE = (
    "<|startoftext|><|start_header_id|>system<|end_header_id|>\n\nYou are a helpful language and vision assistant. "
    "You are able to understand the visual content that the user provides, and assist the user with a variety of tasks "
    "using natural language.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
)
TEXT_AFTER = "\npick up the red cube<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
NO_ROWS = np.zeros((0, 7), np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("llada_v")
    write_fresh_llada_v(path, size="small")
    return path


def setup_of(folder: Path, **changes: Any) -> LladaVSetup:
    deployment = Deployment(**{"cameras": ("front",), **changes})
    return LladaVLayout().read(folder, json_in(folder, "config.json"), deployment)


def network_of(folder: Path, **changes: Any) -> LladaVNetwork:
    return setup_of(folder, **changes).network(torch.device("cpu"), torch.float32)


def observation(instruction: str = " pick up the red cube ") -> Observation:
    generator = np.random.default_rng(0)
    images = {name: generator.integers(0, 256, (48, 64, 3), np.uint8) for name in ("front", "wrist")}
    return Observation(0.0, images, np.zeros(7), instruction)


def some_canvas(network: LladaVNetwork, batch: int = 2) -> Tensor:
    drawn = torch.randint(0, network.canvas.mask_token + 1, (batch, 35), generator=torch.Generator().manual_seed(3))
    drawn[0, :20] = network.canvas.mask_token
    return drawn


def weights(folder: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("model-*.safetensors")):
        tensors |= load_file(path)
    return {name: tensor.float() for name, tensor in tensors.items()}


def by_definition(folder: Path, canvas: Tensor) -> tuple[Tensor, list[int]]:
    """Logits over the 32 action rows, and the ids behind the image."""
    config, tensors = json_in(folder, "config.json"), weights(folder)
    words = LlamaModel(
        LlamaConfig(
            vocab_size=126464,
            hidden_size=config["hidden_size"],
            intermediate_size=config["intermediate_size"],
            num_hidden_layers=config["num_hidden_layers"],
            num_attention_heads=config["num_attention_heads"],
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        )
    )
    others = ("model.vision", "model.mm_", "model.image_", "lm_head")
    words.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if not n.startswith(others)})
    start = "model.vision_tower.vision_tower.vision_model."
    sizes = {**config["vision_config"], "num_hidden_layers": 2, "vision_use_head": False}
    tower = SiglipVisionModel(SiglipVisionConfig(**sizes))
    tower.load_state_dict({n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)})

    image = Image.fromarray(observation().images["front"]).resize((384, 384), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.asarray(image, np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    seen = tower(pixels, output_hidden_states=True).hidden_states[-1]
    p = "model.mm_projector."
    seen = functional.gelu(functional.linear(seen, tensors[f"{p}0.weight"], tensors[f"{p}0.bias"]))
    seen = functional.linear(seen, tensors[f"{p}2.weight"], tensors[f"{p}2.bias"])[0]

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    before, after = (tokenizer.encode(text, add_special_tokens=False).ids for text in (TEXT_BEFORE, TEXT_AFTER))
    embed = words.embed_tokens
    ids = torch.where(canvas == 32, torch.tensor(MASK), canvas + FIRST_ACTION)
    rows = [torch.cat([embed(torch.tensor(before)), seen, embed(torch.tensor(after)), embed(each)]) for each in ids]
    x = torch.stack(rows)
    everything = torch.ones(len(x), 1, x.shape[1], x.shape[1], dtype=torch.bool)
    hidden = words.eval()(inputs_embeds=x, attention_mask=everything).last_hidden_state[:, -35:]
    return hidden @ tensors["lm_head.weight"][FIRST_ACTION : FIRST_ACTION + 32].T, after


@torch.no_grad()
def test_logits_are_those_of_the_parts_put_together_by_the_definition(folder: Path):
    network = network_of(folder)
    canvas = some_canvas(network)
    expected, after = by_definition(folder, canvas)
    inputs = network.prepare(observation())
    assert inputs.after.tolist() == after
    context = network.prefill(inputs, NO_ROWS)
    logits = network.logits(context, canvas)
    assert logits.shape == (2, 35, 32)
    assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_sequence_is_text_then_729_features_then_text_then_35_places(folder: Path):
    network = network_of(folder)
    inputs = network.prepare(observation())
    context = network.prefill(inputs, NO_ROWS)
    assert context.embedded.shape[1] == len(inputs.before) + 729 + len(inputs.after)
    assert network.canvas.length == 35 and network.canvas.vocabulary == 32
    tokens, _ = network.canvas.initial(1, None, network.device)
    assert tokens.unique().tolist() == [network.canvas.mask_token]


def test_two_cameras_stand_one_behind_the_other(folder: Path):
    network = network_of(folder, cameras=("front", "wrist"))
    context = network.prefill(network.prepare(observation()), NO_ROWS)
    before = len(network.prepare(observation()).before)
    wrist_first = network_of(folder, cameras=("wrist", "front"))
    other = wrist_first.prefill(wrist_first.prepare(observation()), NO_ROWS)
    first, second = slice(before, before + 729), slice(before + 729, before + 2 * 729)
    assert context.embedded.shape == other.embedded.shape
    torch.testing.assert_close(context.embedded[:, first], other.embedded[:, second])
    torch.testing.assert_close(context.embedded[:, second], other.embedded[:, first])


@torch.no_grad()
def test_full_attention_lets_the_instruction_see_the_actions_and_block_causal_does_not(folder: Path):
    for attention, sees in (("full", True), ("block_causal", False)):
        network = network_of(folder, attention=attention)
        context = network.prefill(network.prepare(observation()), NO_ROWS)
        tokens, _ = network.canvas.initial(1, None, network.device)
        changed = tokens.clone()
        changed[0, -1] = 1
        before, after = network.prompt_hidden(context, tokens), network.prompt_hidden(context, changed)
        assert before.shape == (1, 32)
        assert network.prompt_sees_canvas == sees == bool((before != after).any())


@torch.no_grad()
def test_with_block_causal_attention_the_cached_prompt_is_exact(folder: Path):
    network = network_of(folder, attention="block_causal")
    context = network.prefill(network.prepare(observation()), NO_ROWS)
    canvas = some_canvas(network)
    prompt, words = context.embedded.shape[1], network._words
    x = torch.cat([context.embedded.expand(2, -1, -1), words.embed(network._ids[canvas])], dim=1)
    mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool)
    mask[:prompt, prompt:] = False
    at_once = words.trunk(x, mask)[:, prompt:] @ words.lm_head.weight[FIRST_ACTION : FIRST_ACTION + 32].T
    torch.testing.assert_close(network.logits(context, canvas), at_once, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_probed_position_is_the_last_of_the_instruction(folder: Path):
    network = network_of(folder)
    one, other = (network.prefill(network.prepare(observation(f"pick {word}")), NO_ROWS) for word in ("a", "b"))
    assert isinstance(one, LladaVContext) and one.embedded.shape == other.embedded.shape
    differs = (one.embedded != other.embedded).any(dim=-1)[0]
    assert differs.nonzero().flatten().tolist() == [one.last_word]


def test_the_token_table_holds_the_embeddings_of_the_action_rows(folder: Path):
    expected = weights(folder)["model.embed_tokens.weight"][FIRST_ACTION : FIRST_ACTION + 32]
    assert torch.equal(network_of(folder).token_table(), expected)


def test_what_the_robots_state_is_does_not_matter(folder: Path):
    network = network_of(folder)
    seen = observation()
    other = Observation(0.0, seen.images, np.full(7, 9.0), seen.instruction)
    one, two = (network.prefill(network.prepare(each), NO_ROWS).embedded for each in (seen, other))
    assert torch.equal(one, two)


def test_an_image_of_any_resolution_becomes_tiles_where_the_checkpoint_was_trained_so(tmp_path: Path):
    write_fresh_llada_v(tmp_path, size="small", images="anyres")
    network = network_of(tmp_path)
    image = np.zeros((480, 640, 3), np.uint8)
    inputs = network.prepare(Observation(0.0, {"front": image}, np.zeros(7), "pick up the red cube"))
    context = network.prefill(inputs, NO_ROWS)
    features = context.embedded.shape[1] - len(inputs.before) - len(inputs.after)
    assert features == 729 + 40 * 55


@pytest.mark.parametrize(
    ("changes", "instruction", "message"),
    [
        ({"cameras": ("top",)}, "go", "'top'"),
        ({}, "  ", "instruction is empty"),
        ({}, "stop<|eot_id|>", "control token"),
    ],
)
def test_an_observation_that_cannot_be_used_is_refused(
    folder: Path, changes: dict[str, Any], instruction: str, message: str
):
    with pytest.raises(ObservationError, match=message):
        network_of(folder, **changes).prepare(observation(instruction))


@torch.no_grad()
def test_it_runs_in_bfloat16(folder: Path):
    network = setup_of(folder).network(torch.device("cpu"), torch.bfloat16)
    context = network.prefill(network.prepare(observation()), NO_ROWS)
    logits = network.logits(context, some_canvas(network, 1))
    assert logits.dtype == torch.bfloat16 and bool(torch.isfinite(logits).all())
