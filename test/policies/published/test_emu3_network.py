"""Emu3 over text, image codes and canvas: the same logits as `transformers`' Emu3 with the published mask."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import Emu3ForCausalLM, Emu3TextConfig

from dvla_ros.control.observation import Observation
from dvla_ros.errors import ObservationError
from dvla_ros.models.emu3_vq import Emu3Vq, Emu3VqConfig
from dvla_ros.models.language_model import LanguageModel
from dvla_ros.models.trunk_config import TrunkConfig
from dvla_ros.policies.published.emu3_network import Emu3Network
from dvla_ros.policies.published.emu3_sequence import Emu3Sequence, Grid
from dvla_ros.preprocessing.emu3_images import Emu3Images
from dvla_ros.preprocessing.smart_resize import SmartResize

FAST_IDS, CODES, SYMBOLS = 7, 32768, (151851, 151847, 9, 15, 16, 17, 18, 20)
TEXT = [151849, 500, 600, 700]
GRIDS = (Grid("front", 2, 3), Grid("wrist", 2, 2))
FRAMES = ((16, 9, 17, 9, 18), (16, 9, 17, 9, 17))  # 1*2*3 and 1*2*2
LONGEST = 200
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
}
NO_ROWS = np.zeros((0, 7), np.float32)


@pytest.fixture(scope="module")
def theirs() -> Any:
    torch.manual_seed(0)
    model = Emu3ForCausalLM(Emu3TextConfig(**SIZES)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


@pytest.fixture(scope="module")
def language(theirs: Any) -> LanguageModel:
    model = LanguageModel(TrunkConfig(16, 2, 4, 2, 24, rope_theta=1e6), 184622)
    words = {"lm_head.weight", "embed_tokens.weight"}
    published = theirs.state_dict()
    model.load_state_dict(
        {
            name: published[name if name == "lm_head.weight" else f"model.{name.removeprefix('trunk.')}"]
            for name in {*model.state_dict(), *words}
        }
    )
    return model


@pytest.fixture(scope="module")
def vision() -> Emu3Vq:
    torch.manual_seed(1)
    return Emu3Vq(Emu3VqConfig(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1))


@pytest.fixture
def network(language: LanguageModel, vision: Emu3Vq) -> Any:
    """A function that makes one with an attention and a system."""

    def make(attention: str = "merged", imagines: bool = True, text: list[int] = TEXT) -> Emu3Network:
        rule = SmartResize.emu3(64, 1024 * 1024)
        chains = [Emu3Images((8 * grid.rows, 8 * grid.columns), smart_resize=rule) for grid in GRIDS]
        sequence = Emu3Sequence(GRIDS, FAST_IDS, imagines)
        return Emu3Network(language, vision, lambda words: text, chains, sequence, attention, LONGEST)

    return make


@pytest.fixture(scope="module")
def observation() -> Observation:
    random = np.random.default_rng(3)
    images = {grid.camera: random.integers(0, 256, (30, 40, 3), dtype=np.uint8) for grid in GRIDS}
    return Observation(0.0, images, np.zeros(7), "pick it up")


def decoded(network: Emu3Network, *, eoa: int | None = None) -> Tensor:
    """A canvas half of whose positions are decided; behind an EOA all are masked, as the decoder shows it."""
    generator = torch.Generator().manual_seed(5)
    tokens, _ = network.canvas.initial(1, None, torch.device("cpu"))
    for segment in network.canvas.segments:
        part = tokens[0, network.canvas.span(segment.name)]
        drawn = torch.randint(segment.choices - segment.name.count("action"), part.shape, generator=generator)
        decided = (torch.rand(part.shape, generator=generator) < 0.5) & (part == network.canvas.mask_token)
        part[decided] = drawn[decided]
    if eoa is not None:
        slots = tokens[0, -69:]
        slots[eoa:] = network.canvas.mask_token
        slots[eoa] = FAST_IDS
    return tokens


def published_ids(network: Emu3Network, tokens: Tensor, codes: list[Tensor]) -> Tensor:
    """The whole sequence in Emu3's ids, written down position by position."""
    mask = network.canvas.mask_token
    ids = list(TEXT)
    for frame, image in zip(FRAMES, codes, strict=True):
        ids += [151852, *frame, 151851, *(151854 + int(code) for code in image.flatten()), 151847, 151853]
    if len(network.canvas.segments) == 1:
        ids.append(151844)
    for segment in network.canvas.segments:
        for token in tokens[0, network.canvas.span(segment.name)].tolist():
            if token == mask:
                ids.append(151848)
            elif segment.name == "action":
                ids.append({FAST_IDS: 151845, FAST_IDS + 1: 151844}.get(token, 151642 - token))
            else:
                ids.append(151854 + token if token < CODES else (*SYMBOLS, 151852, 151853)[token - CODES])
    return torch.tensor([ids])


def released_mask(ids: Tensor) -> Tensor:
    """UD-VLA's rule: from BOI or BOA to EOI or EOA is an image; a block ends where text and images meet."""
    starts, ends = torch.isin(ids, torch.tensor([151852, 151844])), torch.isin(ids, torch.tensor([151853, 151845]))
    is_image = (starts.cumsum(1) - ends.cumsum(1) > 0) | starts | ends
    block = torch.zeros_like(ids)
    block[:, 1:] = (is_image[:, 1:] != is_image[:, :-1]).cumsum(1)
    earlier = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    return (block[:, None] <= block[:, :, None]) & (is_image[:, :, None] | earlier)


def level_mask(lengths: list[int]) -> Tensor:
    """The paper's: text, present, future, action; each sees itself and what came before, text from left to right."""
    level = torch.tensor([level for level, length in enumerate(lengths) for _ in range(length)])
    allowed = level[None, :] <= level[:, None]
    allowed[: lengths[0], : lengths[0]] &= torch.ones(lengths[0], lengths[0], dtype=torch.bool).tril()
    return allowed[None]


def codes_of(network: Emu3Network, vision: Emu3Vq, observation: Observation) -> list[Tensor]:
    return [vision.encode(image) for image in network.prepare(observation).images]


def expected_logits(theirs: Any, network: Emu3Network, ids: Tensor, mask: Tensor) -> list[Tensor]:
    """Of each segment over its own ids, from the position before."""
    with torch.no_grad():
        hidden = theirs.model(ids, attention_mask=mask.unsqueeze(1)).last_hidden_state[0]
    start = ids.shape[1] - network.canvas.length
    parts = []
    for segment in network.canvas.segments:
        span = network.canvas.span(segment.name)
        rows = [151642 - i for i in range(FAST_IDS)] + [151845]
        if segment.name != "action":
            rows = [*range(151854, 184622), *SYMBOLS]
        parts.append(hidden[start + span.start - 1 : start + span.stop - 1] @ theirs.lm_head.weight[rows].T)
    return parts


def assert_same(logits: Tensor, expected: list[Tensor], network: Emu3Network) -> None:
    for segment, part in zip(network.canvas.segments, expected, strict=True):
        own = logits[network.canvas.span(segment.name)]
        assert (own[:, : part.shape[1]] - part).abs().max() <= 1e-5 * part.abs().max()
        assert (own[:, part.shape[1] :] == -torch.inf).all(), "ids of other segments, and those only prefilled"


@pytest.mark.parametrize("eoa", [None, 0, 20, 68])
def test_released_attention_gives_the_logits_of_transformers(theirs, network, vision, observation, eoa):
    ours = network("merged")
    tokens = decoded(ours, eoa=eoa)
    ids = published_ids(ours, tokens, codes_of(ours, vision, observation))
    context = ours.prefill(ours.prepare(observation), NO_ROWS)
    assert context.settled == len(TEXT), "the images of now see the canvas"
    assert ids.shape[1] == ours.canvas.length + context.prompt.shape[1]
    expected = expected_logits(theirs, ours, ids, released_mask(ids))
    assert_same(ours.logits(context, tokens)[0], expected, ours)


def test_block_causal_attention_gives_the_logits_of_transformers(theirs, network, vision, observation):
    ours = network("block_causal")
    tokens = decoded(ours)
    ids = published_ids(ours, tokens, codes_of(ours, vision, observation))
    context = ours.prefill(ours.prepare(observation), NO_ROWS)
    assert context.settled == context.prompt.shape[1], "the whole prompt is run once"
    mask = level_mask([len(TEXT), 15 + 13, 15 + 13, 70])
    assert_same(ours.logits(context, tokens)[0], expected_logits(theirs, ours, ids, mask), ours)


@pytest.mark.parametrize(("attention", "cached"), [("full", 0), ("merged", 4), ("block_causal", 4 + 28)])
def test_dfm_vla_gives_the_logits_of_transformers(theirs, network, vision, observation, attention, cached):
    ours = network(attention, imagines=False)
    tokens = decoded(ours)
    tokens[tokens == ours.canvas.mask_token] = FAST_IDS  # noise has no masks, and an EOA among it ends nothing
    ids = published_ids(ours, tokens, codes_of(ours, vision, observation))
    context = ours.prefill(ours.prepare(observation), NO_ROWS)
    assert context.settled == cached
    masks = {
        "full": torch.ones(1, ids.shape[1], ids.shape[1], dtype=torch.bool),
        "merged": level_mask([4, 28 + 70]),
        "block_causal": level_mask([4, 28, 70]),
    }
    expected = expected_logits(theirs, ours, ids, masks[attention])
    assert_same(ours.logits(context, tokens)[0], expected, ours)


@pytest.mark.parametrize("attention", ["merged", "block_causal", "image_causal_first"])
def test_every_canvas_of_a_batch_is_answered_as_if_alone(network, observation, attention):
    ours = network(attention)
    context = ours.prefill(ours.prepare(observation), NO_ROWS)
    canvases = torch.cat([decoded(ours, eoa=eoa) for eoa in (None, 5, 40)])
    together = ours.logits(context, canvases)
    for row, canvas in enumerate(canvases):
        alone = ours.logits(context, canvas[None])[0]
        finite = torch.isfinite(alone)
        assert torch.equal(finite, torch.isfinite(together[row]))
        assert (together[row] - alone)[finite].abs().max() <= 1e-4


@pytest.mark.parametrize(
    ("attention", "imagines", "sees"),
    [
        ("merged", True, True),
        ("block_causal", True, False),
        ("image_causal_first", True, False),
        ("full", False, True),
        ("block_causal", False, False),
    ],
)
def test_the_probe_tells_whether_the_images_of_now_see_the_canvas(network, observation, attention, imagines, sees):
    ours = network(attention, imagines)
    context = ours.prefill(ours.prepare(observation), NO_ROWS)
    tokens = decoded(ours)
    changed = tokens.clone()
    changed[0, -1] = (tokens[0, -1] + 1) % FAST_IDS
    before, after = ours.prompt_hidden(context, tokens), ours.prompt_hidden(context, changed)
    assert before.shape == (1, 16)
    assert ours.prompt_sees_canvas is sees
    assert bool((before != after).any()) is sees


def test_the_cached_instruction_does_not_depend_on_the_images(network, observation):
    ours = network("merged")
    other = replace(observation, images={name: 255 - image for name, image in observation.images.items()})
    one, two = (ours.prefill(ours.prepare(o), NO_ROWS) for o in (observation, other))
    assert one.settled == two.settled > 0
    assert torch.equal(one.prompt[:, : one.settled], two.prompt[:, : two.settled])
    assert not torch.equal(one.prompt, two.prompt)


def test_imagined_images_are_the_decoded_codes(network, vision, observation):
    ours = network("merged")
    tokens = decoded(ours)[0]
    for grid, start in zip(GRIDS, (0, 15), strict=True):
        tokens[start + 7 : start + 7 + grid.count] = torch.arange(grid.count) * 1000
    tokens[15 + 7] = CODES + 3  # a digit where a code should be
    pictures = ours.imagined(None, tokens.numpy())
    for grid in GRIDS:
        codes = (torch.arange(grid.count) * 1000).reshape(1, grid.rows, grid.columns)
        values = vision.decode(codes)[0].permute(1, 2, 0).numpy()
        expected = ((values * 0.5 + 0.5) * 255).clip(0, 255).astype(np.uint8)
        picture = pictures[grid.camera]
        assert picture.dtype == np.uint8 and picture.shape == (8 * grid.rows, 8 * grid.columns, 3)
        assert np.abs(picture.astype(int) - expected).max() <= 1
    assert network("full", imagines=False).imagined(None, tokens.numpy()) == {}


def test_the_token_table_holds_the_embeddings_of_the_action_ids(theirs, network):
    table = network("full", imagines=False).token_table()
    rows = [151642 - i for i in range(FAST_IDS)] + [151845]
    assert torch.equal(table, theirs.model.embed_tokens.weight[rows])
    padded = network("merged").token_table()
    assert padded.shape == (CODES + len(SYMBOLS) + 2, 16)
    assert torch.equal(padded[: FAST_IDS + 1], table)


def test_an_observation_that_cannot_be_read_is_refused(network, observation):
    ours = network()
    with pytest.raises(ObservationError, match=r"\['wrist'\] are missing"):
        ours.prepare(replace(observation, images={"front": observation.images["front"]}))
    with pytest.raises(ObservationError, match="instruction is empty"):
        ours.prepare(replace(observation, instruction=" "))
    with pytest.raises(ObservationError, match="Camera wrist must be uint8"):
        ours.prepare(replace(observation, images={**observation.images, "wrist": np.zeros((9, 9), np.uint8)}))


def test_an_instruction_that_is_too_long_is_refused(network, observation):
    ours = network(text=[151849, *range(100)])
    with pytest.raises(ObservationError, match="takes 101 tokens and there is room for 74: .* 227 positions"):
        ours.prepare(observation)
