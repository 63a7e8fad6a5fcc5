"""A run that starts from a checkpoint goes on with its coding, tokenizers and network, or is refused."""

from dataclasses import replace

import pytest
import torch

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.models.networks import make_network
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.small_vla import SmallVlaConfig
from dvla_ros.policies.checkpoint import write_checkpoint
from dvla_ros.policies.coding import load_codec
from dvla_ros.policies.token_system import action_positions
from dvla_ros.training.recipes import make_recipe
from dvla_ros.training.shard import ARRAYS
from dvla_ros.training.train import fit_statistics

CODINGS = {"dfm_vla": ("merges=20",), "ud_vla": ("merges=20",)}
"""Byte-pair merges depend on the data they are fitted to."""


@pytest.fixture(scope="module")
def statistics(demonstrations):
    return fit_statistics(demonstrations)


@pytest.fixture(scope="module")
def calm(demonstrations):
    """Demonstrations of small movements, to which other FAST merges would be fitted."""
    return replace(demonstrations, actions=demonstrations.actions * 0.9)


@pytest.fixture(scope="module")
def checkpoints(tiny_run, demonstrations, statistics, tmp_path_factory):
    """A function that writes a checkpoint of a system, once."""
    written = {}

    def folder(system):
        if system not in written:
            written[system] = out = tmp_path_factory.mktemp(system)
            recipe = make_recipe(tiny_run(out, system, coding=CODINGS.get(system, ())), demonstrations, statistics)
            torch.manual_seed(0)
            write_checkpoint(out, recipe.config, make_network(recipe.config.model).state_dict(), statistics)
            recipe.write_extras(out)
        return written[system]

    return folder


@pytest.fixture
def recipe_from(checkpoints, tiny_run, calm, statistics, tmp_path):
    def recipe(system, start=None, data=calm, **changes):
        return make_recipe(tiny_run(tmp_path, system, init=checkpoints(start or system), **changes), data, statistics)

    return recipe


@pytest.mark.parametrize("system", ["dfm_vla", "ud_vla"])
def test_new_data_is_written_in_the_old_tokens(recipe_from, checkpoints, calm, statistics, tiny_run, tmp_path, system):
    recipe, folder = recipe_from(system), checkpoints(system)
    model = recipe.config.model
    codec = load_codec(recipe.config.coding, statistics, model.horizon, action_positions(model), folder)
    decoded = codec.decode(recipe.targets.tokens[3, -codec.length :].numpy())
    normalizer = recipe.config.coding.normalizer(statistics)
    expected = normalizer.normalize(calm.actions[3].astype(float))
    assert normalizer.normalize(decoded.actions) == pytest.approx(expected, abs=0.5 / 20 * 8**0.5 + 1e-5)
    fresh = make_recipe(tiny_run(tmp_path, system, coding=CODINGS[system]), calm, statistics)
    assert fresh.config.model != model  # a codec of its own would not fit the weights


def test_the_image_tokenizer_comes_along(recipe_from, checkpoints, tmp_path):
    recipe = recipe_from("ud_vla")
    recipe.write_extras(tmp_path / "next")
    before, after = (f / "vq" / "vq.safetensors" for f in (checkpoints("ud_vla"), tmp_path / "next"))
    assert before.read_bytes() == after.read_bytes()


def test_the_words_come_along(recipe_from, demonstrations):
    """Ids of fewer frames' sentences would be others."""
    few = replace(demonstrations, **{name: getattr(demonstrations, name)[:5] for name in ARRAYS})
    all_words, few_words = (recipe_from("diffusion_vla", data=data) for data in (demonstrations, few))
    assert few_words.config.model == all_words.config.model
    assert torch.equal(few_words.targets.reasoning, all_words.targets.reasoning[:5])


def test_words_that_the_policy_never_learned_are_refused(recipe_from, calm):
    with pytest.raises(ConfigurationError, match="has words that its tokenizer does not know"):
        recipe_from("diffusion_vla", data=replace(calm, instructions=(calm.instructions + 1) % 3))


def test_the_same_coding_may_be_said_again(recipe_from):
    assert recipe_from("dd_vla", coding=("size=256",)).config.coding.size == 256


@pytest.mark.parametrize(
    ("system", "changes", "words"),
    [
        ("dd_vla", {"coding": ("size=64",)}, "was trained with .*size=256.*; leave out coding"),
        ("dd_vla", {"heads": 6}, "has heads=3; this run would make another"),
        ("dd_vla", {"layers": 2}, "has layers=1"),
        ("dd_vla", {"horizon": 5}, "decides 8 actions at once; leave out horizon=5"),
        ("llada_vla", {"start": "dd_vla"}, "is a checkpoint of dd_vla, not of llada_vla"),
        ("dfm_vla", {"decoding": ("path=head",)}, "does not fit .*missing rates"),
    ],
)
def test_what_does_not_fit_the_weights_is_refused(recipe_from, system, changes, words):
    with pytest.raises((ConfigurationError, CheckpointError), match=words):
        recipe_from(system, **changes)


def test_a_chunk_stays_as_long_as_it_was(tiny_run, demonstrations, statistics, tmp_path):
    start, out = tmp_path / "start", tmp_path / "out"
    first = make_recipe(tiny_run(start, horizon=4), demonstrations, statistics)
    write_checkpoint(start, first.config, make_network(first.config.model).state_dict(), statistics)
    first.write_extras(start)
    assert make_recipe(tiny_run(out, init=start), demonstrations, statistics).config.model.horizon == 4


def test_fine_tuning_may_begin_to_count_the_ways_from_the_frozen_rows(
    recipe_from, tiny_run, calm, statistics, tmp_path
):
    ahead = recipe_from("dd_vla", perception=PerceptionConfig(width=24, keypoints=2, ways_after_frozen=True)).config
    assert isinstance(ahead.model, SmallVlaConfig) and ahead.model.perception.ways_after_frozen
    write_checkpoint(tmp_path / "ahead", ahead, make_network(ahead.model).state_dict(), statistics)
    with pytest.raises(ConfigurationError, match="'ways_after_frozen': True.*this run would make another"):
        make_recipe(tiny_run(tmp_path, init=tmp_path / "ahead"), calm, statistics)
