"""Each system's recipe says in tokens what the expert did, and its checkpoint becomes a policy."""

import numpy as np
import pytest
import torch
from tiny_vla import found_losses, noise
from torch.nn import functional

from dvla_ros.control.observation import Observation
from dvla_ros.denoising.flow import FlowConfig
from dvla_ros.denoising.flow_paths import embedding_distance, sample_path, sample_times
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.networks import make_network
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.models.vq import VqTokenizer
from dvla_ros.policies.checkpoint import read_config, read_weights, write_checkpoint
from dvla_ros.policies.coding import load_codec
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.reasoning_text import ReasoningTokenizer
from dvla_ros.policies.systems import SYSTEMS
from dvla_ros.policies.token_system import TokenSystem, action_positions
from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.training.batch import Batch
from dvla_ros.training.reasoning import sentences
from dvla_ros.training.recipes import RECIPES, make_recipe
from dvla_ros.training.train import fit_statistics

TOKEN_SYSTEMS = [name for name, system in SYSTEMS.items() if isinstance(system, TokenSystem)]
BOI, EOI = 8, 9
FRAMES = 6


@pytest.fixture(scope="module")
def statistics(demonstrations):
    return fit_statistics(demonstrations)


@pytest.fixture
def recipe_of(tiny_run, demonstrations, statistics, tmp_path):
    return lambda system, **changes: make_recipe(tiny_run(tmp_path, system, **changes), demonstrations, statistics)


@pytest.fixture
def saved(recipe_of, statistics, tmp_path):
    """A function that makes a recipe and writes an untrained checkpoint with it."""

    def write(system, **changes):
        recipe = recipe_of(system, **changes)
        torch.manual_seed(0)
        write_checkpoint(tmp_path, recipe.config, make_network(recipe.config.model).state_dict(), statistics)
        recipe.write_extras(tmp_path)
        return recipe, tmp_path

    return write


@pytest.fixture
def observation(demonstrations):
    images = dict(zip(CAMERAS, demonstrations.images[0], strict=True))
    return Observation(0.0, images, demonstrations.states[0].astype(float), "pick up the red cube")


def action_tokens(recipe):
    return recipe.targets.tokens[:, -action_positions(recipe.config.model) :].numpy()


def test_there_is_a_recipe_for_every_system():
    assert list(RECIPES) == list(SYSTEMS)


@pytest.mark.parametrize(
    ("system", "error"),
    [("dd_vla", 1 / 255), ("llada_vla", 1 / 32), ("ud_vla", 0.5 / 20 * 8**0.5), ("dfm_vla", 0.5 / 20 * 8**0.5)],
)
def test_the_tokens_decode_to_what_the_expert_did(saved, demonstrations, statistics, system, error):
    """Up to half a bin, or half a coefficient of each of the eight frequencies."""
    recipe, folder = saved(system)
    config = read_config(folder)
    codec = load_codec(config.coding, statistics, config.model.horizon, action_positions(config.model), folder)
    normalizer = config.coding.normalizer(statistics)
    for row in range(FRAMES):
        decoded = codec.decode(action_tokens(recipe)[row])
        expected = normalizer.normalize(demonstrations.actions[row, : config.model.horizon].astype(float))
        assert not decoded.malformed
        assert normalizer.normalize(decoded.actions) == pytest.approx(expected, abs=error + 1e-5)


@pytest.mark.parametrize("system", TOKEN_SYSTEMS)
def test_every_token_is_one_that_its_position_may_hold(recipe_of, demonstrations, system):
    recipe = recipe_of(system)
    canvas = recipe.config.model.canvas
    assert recipe.targets.tokens.shape == (len(demonstrations), canvas.length)
    given, fixed = (part[0] for part in canvas.initial(1, None, torch.device("cpu")))
    assert (recipe.targets.tokens[:, fixed] == given[fixed]).all()
    chosen = recipe.targets.tokens[:, ~fixed]
    assert (chosen >= 0).all() and (chosen < canvas.vocabularies()[~fixed]).all()


def test_continuous_actions_are_normalised_within_their_extremes(recipe_of, demonstrations, statistics):
    recipe = recipe_of("diffusion_vla")
    actions = recipe.targets.actions.numpy()
    assert recipe.targets.tokens is None and np.abs(actions).max() <= 1.0
    back = recipe.config.coding.normalizer(statistics).unnormalize(actions)
    assert back == pytest.approx(demonstrations.actions, abs=1e-4)


def test_the_reasoning_is_what_there_is_to_say_of_each_frame(saved, demonstrations):
    recipe, folder = saved("diffusion_vla")
    tokenizer = ReasoningTokenizer.load(folder)
    said = [tokenizer.decode(row[row >= 0].tolist()) for row in recipe.targets.reasoning[:FRAMES]]
    assert said == sentences(demonstrations)[:FRAMES]


def test_without_reasoning_there_are_no_words(saved):
    recipe, folder = saved("diffusion_vla", objective=("reason=false",))
    assert recipe.targets.reasoning is None and recipe.config.model.vocabulary == 0
    assert not (folder / "reasoning").exists() and not load_policy(folder).spec.reasons


def codes_of(image_tokenizer, images):
    """Codes of one camera's uint8 `[N, h, w, 3]`, averaged down to the tokenizer's 16 x 16."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    small = functional.adaptive_avg_pool2d(pixels, (16, 16)).round().to(torch.uint8)
    return VqTokenizer.load(image_tokenizer).eval().encode(small).flatten(1)


def test_the_canvas_of_ud_vla_is_two_future_images_and_the_chunk(recipe_of, demonstrations, image_tokenizer):
    recipe = recipe_of("ud_vla")
    tokens = recipe.targets.tokens[:FRAMES]
    boa = recipe.config.model.segments[-1].vocabulary - 1
    assert tokens.shape[1] == 6 + 6 + 1 + 56
    for camera, begin in enumerate((0, 6)):
        future = codes_of(image_tokenizer, demonstrations.futures[:FRAMES, camera])
        assert (tokens[:, begin] == BOI).all() and (tokens[:, begin + 5] == EOI).all()
        assert torch.equal(tokens[:, begin + 1 : begin + 5], future)
    assert (tokens[:, 12] == boa).all() and tokens[:, 13:].max() < boa


def test_ud_vla_sees_the_codes_of_the_present(recipe_of, demonstrations, image_tokenizer):
    recipe = recipe_of("ud_vla")
    seen = recipe.targets.seen[:FRAMES]
    for camera, begin in enumerate((0, 6)):
        assert (seen[:, begin] == BOI).all() and (seen[:, begin + 5] == EOI).all()
        now = codes_of(image_tokenizer, demonstrations.images[:FRAMES, camera])
        assert torch.equal(seen[:, begin + 1 : begin + 5], now)


class Spy(SmallVla):
    """Remembers the canvases it was asked about."""

    canvases = None

    def logits(self, prefix, tokens):
        self.canvases = tokens
        return super().logits(prefix, tokens)


def test_dfm_vla_is_trained_on_the_metric_that_its_policy_decodes_with(saved):
    """The noisy canvases are those of the distances between the embeddings that the checkpoint holds."""
    recipe, folder = saved("dfm_vla")
    model = Spy(recipe.config.model)
    read_weights(folder, model)
    tokens = recipe.targets.tokens[:4]
    sizes = model.config.perception
    images = torch.zeros(4, 2, 3, sizes.image_height, sizes.image_width)
    batch = Batch(
        images,
        torch.zeros(4, sizes.text_tokens, 384),
        torch.zeros(4, 7),
        torch.zeros(4, 2, 2, 2),
        torch.zeros(4, 2, 3),
        recipe.targets.rows(torch.arange(4)),
    )
    found_losses(recipe.objective, model, batch)
    path = FlowConfig().probability_path(model.config.vocabulary, embedding_distance(model.token_table("action")))
    spread = noise(4).spread(2)
    expected = sample_path(path, tokens.repeat_interleave(2, dim=0), sample_times(spread), spread)
    assert torch.equal(model.canvases, expected) and (expected != tokens.repeat_interleave(2, dim=0)).any()
    assert not model.segments["action"].token.weight.requires_grad


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_checkpoint_becomes_a_policy(saved, observation, demonstrations, system):
    recipe, folder = saved(system)
    assert read_config(folder) == recipe.config
    policy = load_policy(folder)
    prediction = policy.predict(observation, seed=0)
    kind = SYSTEMS[system]
    assert (policy.spec.system, policy.spec.cameras, policy.spec.dt) == (system, CAMERAS, demonstrations.manifest.dt)
    assert policy.spec.execute_steps == kind.execute_steps
    assert prediction.actions.shape == (kind.horizon, 7)
    assert prediction.usable or prediction.malformed  # an untrained network may ask for coefficients of no chunk
    assert set(prediction.imagined_images) == (set(CAMERAS) if system == "ud_vla" else set())


def test_settings_reach_coding_decoder_and_checkpoint(recipe_of):
    recipe = recipe_of("dd_vla", coding=("size=64",), decoding=("num_steps=5",), execute_steps=2)
    assert recipe.config.coding.size == recipe.config.model.vocabulary == 64
    assert recipe.config.decoding["num_steps"] == 5 and recipe.config.execute_steps == 2


def test_the_rate_head_comes_with_its_path(saved, observation):
    recipe, folder = saved("dfm_vla", decoding=("path=head", "fine_steps=2"))
    assert recipe.config.model.rate_head and set(recipe.config.decoding) >= {"path", "fine_steps"}
    assert load_policy(folder).predict(observation, seed=0).nfe == 4


def test_dd_vla_may_have_fast_tokens(saved, observation):
    """They stand for no number and belong to no row: nothing is expected of them, and none is given."""
    recipe, folder = saved("dd_vla", coding=("kind=fast", "whole_row=true"), objective=("expectation=0",))
    assert "expectation" not in recipe.objective.weights
    prediction = load_policy(folder).predict(observation, seed=0)
    assert prediction.usable or prediction.malformed


def test_ud_vla_may_be_decoded_by_another_decoder(recipe_of):
    assert recipe_of("ud_vla", decoding=("decoder=masked",)).config.decoding["decoder"] == "masked"


@pytest.mark.parametrize(
    ("system", "changes", "words"),
    [
        ("ud_vla", {"vq": None}, "dvla train-vq"),
        ("dfm_vla", {"decoding": ("decoder=masked",)}, "keep decoder=flow"),
        ("dd_vla", {"coding": ("kind=fast",)}, "set expectation=0"),
        ("diffusion_vla", {"coding": ("kind=bins",)}, "its coding is continuous, not 'bins'"),
        ("dd_vla", {"objective": ("mask=3",)}, r"unknown keys \['mask'\]; known are .*'masks'"),
        ("llada_vla", {"objective": ("masks=many",)}, "masks must be a JSON int, such as 2, got 'many'"),
        ("dd_vla", {"objective": ("masks",)}, "name=value"),
        ("dd_vla", {"horizon": 9}, "dd_vla learns 9 actions at once, the demonstrations have 8"),
    ],
)
def test_what_a_system_cannot_use_is_refused(recipe_of, system, changes, words):
    with pytest.raises(ConfigurationError, match=words):
        recipe_of(system, **changes)


def test_a_shorter_chunk_is_the_beginning_of_the_recorded_one(recipe_of, demonstrations, statistics):
    recipe = recipe_of("llada_vla")
    normalizer = recipe.config.coding.normalizer(statistics)
    expected = normalizer.normalize(demonstrations.actions[:, :5].astype(float))
    assert recipe.config.model.horizon == 5 and recipe.targets.actions.numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("system", ["dd_vla", "ud_vla", "dfm_vla", "llada_vla", "diffusion_vla"])
def test_a_chunk_may_have_another_length_and_is_not_executed_beyond_it(saved, observation, system):
    recipe, folder = saved(system, horizon=2)
    assert recipe.config.execute_steps == 2
    assert load_policy(folder, "cpu").predict(observation, seed=0).actions.shape == (2, 7)
