"""What the network asks of Llama is the published sequence: `transformers`' own Llama gives the same logits for it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from dvla_ros.actions.normalization import Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.engine.sequence_run import SettledPrefix
from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.models.prismatic import Prismatic, locate_prismatic
from dvla_ros.models.prismatic_config import PrismaticConfig
from dvla_ros.models.prismatic_projectors import ProprioProjector
from dvla_ros.models.timm_towers import TowerSizes
from dvla_ros.models.trunk_config import TrunkConfig
from dvla_ros.policies.published.prismatic_network import PrismaticContext, PrismaticNetwork, StateInput
from dvla_ros.weights.writing import write_sharded

HORIZON, COLUMNS, WIDTH, ROWS = 2, 7, 32, 32064
LENGTH, PATCHES = HORIZON * COLUMNS, 4
QUESTION = (1, 512, 29901, 1724, 3158, 29871)  # from BOS to the lone space
NO_ROWS = np.zeros((0, COLUMNS), np.float32)
CAMERAS = ("front", "wrist")
CANVAS = Canvas((Segment("action", HORIZON, COLUMNS, 256),))


def prompt(instruction: str) -> list[int]:
    return [*QUESTION[:-1], len(instruction), QUESTION[-1]]


def channels(images: "list[np.ndarray]") -> Tensor:
    """Six channels a camera, told apart by the first pixel."""
    return torch.cat([torch.full((6, 28, 28), float(image[0, 0, 0]) / 255) for image in images])


def random_model() -> Prismatic:
    towers = (TowerSizes("dinov2", 16, 2, 2, 32, 28), TowerSizes("siglip", 24, 2, 2, 40, 28))
    trunk = TrunkConfig(width=WIDTH, layers=2, heads=4, kv_heads=4, intermediate=48, norm_eps=1e-6)
    torch.manual_seed(0)
    model = Prismatic(PrismaticConfig(towers, trunk, ROWS, action_end=32000, mask_token=32001))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


@pytest.fixture(scope="module")
def model() -> Prismatic:
    return random_model()


@pytest.fixture(scope="module")
def llama(model: Prismatic, tmp_path_factory: pytest.TempPathFactory) -> LlamaForCausalLM:
    """Theirs, with weights that went through a published file."""
    folder: Path = tmp_path_factory.mktemp("published")
    write_sharded(folder, model, locate_prismatic)
    weights = load_file(folder / "model.safetensors")
    config = LlamaConfig(
        vocab_size=ROWS,
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        rms_norm_eps=1e-6,
        attn_implementation="eager",
    )
    theirs = LlamaForCausalLM(config).eval()
    prefix = "language_model."
    theirs.load_state_dict({k.removeprefix(prefix): w for k, w in weights.items() if k.startswith(prefix)})
    return theirs


@pytest.fixture(scope="module")
def state() -> StateInput:
    low, high = np.full(COLUMNS, -2.0), np.full(COLUMNS, 2.0)
    mask = np.array([True] * (COLUMNS - 1) + [False])
    torch.manual_seed(1)
    return StateInput(Normalizer(low, high, mask), ProprioProjector(COLUMNS, WIDTH))


def network(model: Prismatic, state: StateInput | None, attention: str = "full") -> PrismaticNetwork:
    return PrismaticNetwork(model, state, channels, prompt, CAMERAS, CANVAS, attention)


def observation(**changes: object) -> Observation:
    values = {
        "stamp": 0.0,
        "images": {"wrist": np.full((4, 4, 3), 200, np.uint8), "front": np.full((4, 4, 3), 50, np.uint8)},
        "state": np.array([1.0, -1.0, 0.5, 0.0, 4.0, 0.2, 3.0]),
        "instruction": "pick it up",
    }
    return Observation(**{**values, **changes})  # type: ignore[arg-type]


def canvases() -> Tensor:
    """A canvas with every kind of token, and an empty one."""
    tokens = torch.randint(0, 256, (2, LENGTH), generator=torch.Generator().manual_seed(2))
    tokens[0, :3] = torch.tensor([0, 255, CANVAS.mask_token])
    tokens[1] = CANVAS.mask_token
    return tokens


def prefilled(net: PrismaticNetwork) -> PrismaticContext:
    return net.prefill(net.prepare(observation()), NO_ROWS)


def published_tokens(tokens: Tensor) -> Tensor:
    """V - d with d = id + 1, and MASK 32001."""
    return torch.where(tokens == 256, 32001, 32000 - (tokens + 1))


def by_hand(model: Prismatic, state: StateInput | None, llama: LlamaForCausalLM, tokens: Tensor) -> Tensor:
    """The published sequence `[BOS][front][wrist][state][prompt][29871][actions][EOS]`, embedded, `[B, L, W]`."""
    embed = llama.get_input_embeddings()
    pixels = torch.stack([torch.full((6, 28, 28), value / 255) for value in (50, 200)])
    parts = [embed(torch.tensor([[1]])), model.patches(pixels[None])]
    if state is not None:
        # Columns 0 to 5 from -2..2 to -1..1, clipped; the last one passes, clipped too.
        numbers = torch.tensor([[0.5, -0.5, 0.25, 0.0, 1.0, 0.1, 1.0]])
        parts.append(state.projector(numbers)[:, None])
    parts.append(embed(torch.tensor([[512, 29901, 1724, 3158, len("pick it up"), 29871]])))
    before = torch.cat(parts, dim=1).expand(len(tokens), -1, -1)
    return torch.cat([before, embed(published_tokens(tokens)), embed(torch.full((len(tokens), 1), 2))], dim=1)


def asked(llama: LlamaForCausalLM, sequence: Tensor, sees: Tensor) -> Tensor:
    """Logits of the 256 action ids, ordered by bin, at the position before each action."""
    mask = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)
    logits = llama(inputs_embeds=sequence, attention_mask=mask.expand(len(sequence), 1, -1, -1)).logits
    first = sequence.shape[1] - 1 - LENGTH
    return logits[:, first - 1 : first - 1 + LENGTH, [32000 - (k + 1) for k in range(256)]]


@torch.no_grad()
@pytest.mark.parametrize("with_state", [True, False])
def test_logits_are_those_of_the_published_sequence(
    model: Prismatic, llama: LlamaForCausalLM, state: StateInput, with_state: bool
) -> None:
    chosen = state if with_state else None
    net = network(model, chosen)
    sequence = by_hand(model, chosen, llama, canvases())
    everything = torch.ones(sequence.shape[1], sequence.shape[1], dtype=torch.bool)
    expected = asked(llama, sequence, everything)
    torch.testing.assert_close(net.logits(prefilled(net), canvases()), expected, atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_block_causal_prefix_is_cached_exactly(model: Prismatic, llama: LlamaForCausalLM, state: StateInput) -> None:
    net = network(model, state, "block_causal")
    context = prefilled(net)
    assert isinstance(context.run, SettledPrefix)
    sequence = by_hand(model, state, llama, canvases())
    length = sequence.shape[1]
    sees = torch.ones(length, length, dtype=torch.bool)
    before = length - (1 + LENGTH + 1)  # what sees no later position: all in front of 29871
    sees[:before, before:] = False
    torch.testing.assert_close(net.logits(context, canvases()), asked(llama, sequence, sees), atol=1e-4, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("attention, sees", [("full", True), ("block_causal", False)])
def test_probe_shows_whether_the_prompt_sees_the_actions(
    model: Prismatic, state: StateInput, attention: str, sees: bool
) -> None:
    net = network(model, state, attention)
    tokens = canvases()
    changed = tokens.clone()
    changed[:, -1] = 17
    before, after = (net.prompt_hidden(prefilled(net), each) for each in (tokens, changed))
    assert before.shape == (2, WIDTH)
    assert net.prompt_sees_canvas is sees
    assert torch.equal(before, after) is not sees


@torch.no_grad()
def test_sequence_has_one_place_for_everything(model: Prismatic, state: StateInput) -> None:
    net = network(model, state)
    context = prefilled(net)
    question = len(prompt("")) - 1  # 29871 comes with the canvas
    assert context.embedded.shape == (1, len(CAMERAS) * PATCHES + 1 + question, WIDTH)
    assert network(model, None).prepare(observation()).state is None


def test_cameras_come_in_the_order_of_training(model: Prismatic, state: StateInput) -> None:
    pixels = network(model, state).prepare(observation()).pixels
    assert pixels.shape == (1, 2, 6, 28, 28)
    assert torch.allclose(pixels[0, :, 0, 0, 0], torch.tensor([50 / 255, 200 / 255]))


def test_token_table_is_ordered_by_bin(model: Prismatic, state: StateInput) -> None:
    table = network(model, state).token_table()
    weight = model.language_model.embed_tokens.weight
    assert table.shape == (256, WIDTH)
    assert torch.equal(table[0], weight[31999]) and torch.equal(table[255], weight[31744])


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"images": {"front": np.zeros((4, 4, 3), np.uint8)}}, "wrist"),
        ({"instruction": "  "}, "instruction is empty"),
        ({"state": np.zeros(8)}, "7 finite numbers"),
        ({"state": np.full(7, np.nan)}, "7 finite numbers"),
    ],
)
def test_an_unusable_observation_is_refused(
    model: Prismatic, state: StateInput, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ObservationError, match=problem):
        network(model, state).prepare(observation(**changes))


def test_an_attention_of_another_system_is_refused(model: Prismatic, state: StateInput) -> None:
    with pytest.raises(ConfigurationError, match="merged"):
        network(model, state, "merged")
