"""What the learner of DiffusionVLA's network understands: in a batch, alone, and as the policy does."""

import pytest
import torch
from fine_tuned import opened

from dvla_ros.models.qwen2_vl import SaidWords
from dvla_ros.training.published.examples import PublishedExamples
from dvla_ros.training.published.families import reader_of, words_of
from dvla_ros.training.published.preset import Preset
from dvla_ros.training.published.presets import PRESETS


@pytest.fixture(scope="module")
def reasoning(checkpoint, deployment, recorded):
    """The small checkpoint, and its frames with what is said of them."""
    family = opened(checkpoint("diffusion_vla"), deployment("diffusion_vla"), recorded)
    preset: Preset = PRESETS["diffusion_vla"]
    setup = family.setup
    return family, PublishedExamples(setup, reader_of(setup), recorded(setup), words=words_of(setup, preset))


def batch_of(examples, *rows):
    return examples.collate([examples[row] for row in rows])


@torch.no_grad()
@pytest.mark.parametrize("reason", [True, False])
def test_a_batch_of_any_lengths_is_understood_as_each_would_be_alone(reasoning, reason):
    family, examples = reasoning
    together = family.learner.understand(batch_of(examples, 0, 1, 3), reason)
    for row, frame in enumerate((0, 1, 3)):
        batch = batch_of(examples, frame)
        alone = family.learner.understand(batch, reason)
        torch.testing.assert_close(together.condition[row], alone.condition[0], atol=1e-5, rtol=1e-5)
        if reason:
            length = batch.targets.reasoning.shape[1]
            torch.testing.assert_close(together.words[row, :length], alone.words[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_head_is_told_what_the_policy_tells_it(reasoning):
    family, examples = reasoning
    network, batch = family.network, batch_of(examples, 1)
    inputs = network.prepare(examples._source.frame(1).observation)
    prompt = network.prefill(inputs)
    silent = network.condition(prompt, None, inputs)
    torch.testing.assert_close(family.learner.understand(batch, False).condition, silent, atol=1e-5, rtol=1e-5)
    said = batch.targets.reasoning[0]
    language, count = network.model.backbone.language, len(said) - 1
    places = torch.arange(count) + prompt.next_position
    states, cache = [], prompt.cache
    for word, place in zip(said[:-1], places, strict=True):
        hidden, cache = language.trunk.extend(
            language.embed(word[None])[None], _grown(cache), positions=place.expand(3, 1)
        )
        states.append(hidden)
    answer = SaidWords(said, torch.cat(states, dim=1))
    told = network.condition(prompt, answer, inputs)
    torch.testing.assert_close(family.learner.understand(batch, True).condition, told, atol=1e-4, rtol=1e-4)


def _grown(cache):
    """A cache that grows, whatever room there was."""
    return cache.view() if hasattr(cache, "view") else cache


def test_only_the_answer_is_taught(reasoning):
    family, examples = reasoning
    batch = batch_of(examples, 1, 3)
    lengths = (batch.targets.reasoning >= 0).sum(dim=1)
    assert lengths[0] > lengths[1] > 3
    text = family.setup.reader.words(batch.targets.reasoning[1, : lengths[1]].tolist())
    assert text == "I see stop.Next action:"
