"""The n-th example is the same in every process, batch and run, and holds a frame with its own targets."""

import os
import pickle
from dataclasses import fields

import numpy as np
import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.text import SentenceEncoder
from dvla_ros.simulation.tasks import TASKS
from dvla_ros.training.batch import Targets
from dvla_ros.training.draws import Use, draws
from dvla_ros.training.example_loader import ExampleLoader
from dvla_ros.training.example_order import BatchShare, ExampleOrder, StepSampler
from dvla_ros.training.examples import Examples
from dvla_ros.training.frame_tensors import FrameTensors
from dvla_ros.training.light_and_noise import relit
from dvla_ros.training.sentence_choice import Phrasings, SentenceChoice
from dvla_ros.training.train import fit_statistics

SEED = 11


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder(PerceptionConfig().text_tokens)


@pytest.fixture(scope="module")
def frames(demonstrations):
    return FrameTensors.of(demonstrations, fit_statistics(demonstrations))


@pytest.fixture(scope="module")
def sentences(demonstrations, encoder):
    return SentenceChoice(demonstrations.manifest, encoder)


@pytest.fixture(scope="module")
def examples(demonstrations, frames, sentences):
    return Examples(demonstrations, frames, Targets(torch.from_numpy(demonstrations.actions)), sentences, SEED)


def same(batch, other):
    pairs = [(getattr(batch, field.name), getattr(other, field.name)) for field in fields(batch)]
    tensors = [(a.actions, b.actions) if isinstance(a, Targets) else (a, b) for a, b in pairs]
    return all(torch.equal(a, b) for a, b in tensors)


def test_an_example_does_not_depend_on_its_batch(examples):
    batch = examples.__getitems__([4, 90, 4])
    for place, number in enumerate([4, 90, 4]):
        alone = examples[number]
        assert torch.equal(alone.images[0], batch.images[place]) and torch.equal(alone.text[0], batch.text[place])
        assert torch.equal(alone.targets.actions[0], batch.targets.actions[place])


def test_a_copy_in_another_process_gives_the_same(examples):
    assert same(pickle.loads(pickle.dumps(examples)).__getitems__([3, 200]), examples.__getitems__([3, 200]))


def test_a_frame_comes_with_everything_of_its_own(examples, demonstrations, frames):
    numbers = np.arange(8)
    batch, rows = examples.__getitems__(numbers), ExampleOrder(len(demonstrations), SEED).rows(numbers)
    assert np.array_equal(batch.targets.actions, demonstrations.actions[rows])
    assert np.array_equal(batch.pixels, demonstrations.pixels[rows])
    assert np.array_equal(batch.frozen, demonstrations.frozen[rows])
    assert torch.equal(batch.state, frames.state[rows]) and batch.state.abs().max() <= 1.0 + 1e-6
    assert torch.equal(batch.points, frames.points[rows]) and torch.equal(batch.moved, frames.moved[rows])
    for shown, row in zip(batch.images, rows, strict=True):
        stored = torch.from_numpy(demonstrations.images[row]).permute(0, 3, 1, 2).float()
        assert torch.corrcoef(torch.stack([stored.flatten(), shown.flatten()]))[0, 1] > 0.9


def test_frames_know_where_the_executed_actions_lead(frames, demonstrations):
    span = np.ptp(demonstrations.states[:, :3], axis=0)
    for row, frozen in enumerate(demonstrations.frozen):
        way = demonstrations.actions[row, :frozen, :3].sum(axis=0)
        np.testing.assert_allclose(frames.moved[row], 2.0 * way / span, rtol=0.02, atol=1e-6)
    assert frames.moved.any() and not frames.moved[frames.frozen == 0].any()


def test_an_epoch_later_the_same_frame_looks_and_reads_otherwise(examples, demonstrations):
    first, later = ({}, {})
    for epoch, seen in enumerate((first, later)):
        numbers = np.arange(len(examples)) + epoch * len(examples)
        seen.update(zip(ExampleOrder(len(examples), SEED).rows(numbers).tolist(), numbers.tolist(), strict=True))
    a, b = examples[first[5]], examples[later[5]]
    assert torch.equal(a.state, b.state) and not torch.equal(a.images, b.images)


@pytest.mark.parametrize("workers", [1, 2])
def test_other_processes_make_the_same_batches_in_the_same_order(examples, workers):
    sampler = StepSampler(BatchShare(3, processes=2, process=1, accumulation=2), steps=4, first_step=1)
    loaders = [ExampleLoader(examples, sampler, count) for count in (0, workers)]
    own, theirs = (list(loader) for loader in loaders)
    assert len(own) == len(loaders[0]) == 6
    assert all(same(a, b) for a, b in zip(own, theirs, strict=True))


def test_a_run_that_goes_on_sees_what_it_would_have_seen(examples):
    whole, rest = (list(ExampleLoader(examples, StepSampler(BatchShare(2), 5, first))) for first in (0, 3))
    assert all(same(a, b) for a, b in zip(whole[3:], rest, strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_worker_cannot_read_is_said_as_it_is(workers):
    class Broken:
        def __getitems__(self, numbers):
            raise ConfigurationError(f"{os.getpid() != me} {numbers}")

    me = os.getpid()
    with pytest.raises(ConfigurationError) as caught:
        list(ExampleLoader(Broken(), StepSampler(BatchShare(2), 1), workers))
    assert str(caught.value) == f"{workers > 0} [0, 1]"


@pytest.mark.parametrize("workers", [0, 1])
def test_loading_takes_no_random_number_from_the_run(examples, workers):
    before = torch.get_rng_state()
    list(ExampleLoader(examples, StepSampler(BatchShare(2), 1), workers))
    assert torch.equal(torch.get_rng_state(), before)


def test_workers_cannot_be_less_than_none(examples):
    with pytest.raises(ConfigurationError, match="workers must be 0 or more, got -1"):
        ExampleLoader(examples, StepSampler(BatchShare(2), 1), -1)


def test_sentences_are_left_out_as_often_as_asked_for_and_half_are_the_canonical_one(demonstrations):
    manifest = demonstrations.manifest
    instruction, phrasings = manifest.task_names.index("pick_red"), TASKS["pick_red"].phrasings
    some, usual = Phrasings(manifest, dropped=0.25), Phrasings(manifest)
    places = [some.place(instruction, draws(0, n, Use.SENTENCE)) for n in range(2000)]
    said = [some.sentences[place] for place in places if place]
    assert some.sentences[0] == "" and np.mean(np.array(places) == 0) == pytest.approx(0.25, abs=0.03)
    canonical = np.mean([sentence == phrasings[0] for sentence in said])
    assert canonical == pytest.approx(0.5 + 0.5 / len(phrasings), abs=0.04)
    assert set(said) == set(phrasings)
    # Leaving some out changes no other choice.
    others = [usual.place(instruction, draws(0, n, Use.SENTENCE)) for n in range(2000)]
    assert all(place in (0, other) for place, other in zip(places, others, strict=True))


def test_sentences_are_shown_as_the_encoder_reads_them(sentences, encoder, demonstrations):
    phrasings = Phrasings(demonstrations.manifest).sentences
    shown = sentences.embeddings([0, 5])
    assert torch.equal(shown, torch.stack([encoder.encode(phrasings[place]) for place in (0, 5)]))


def test_light_is_a_factor_and_an_offset_and_noise_has_its_strength():
    images = np.full((1, 80, 80, 3), 100, np.uint8)
    shown = np.empty((400, 1, 3, 80, 80), np.float32)
    for number, into in enumerate(shown):
        relit(images, draws(0, number, Use.LIGHT), into)
    means, spread = shown.mean(axis=(3, 4))[:, 0], shown.std(axis=(3, 4))[:, 0]
    assert spread == pytest.approx(np.full((400, 3), 3.0), rel=0.05)
    assert means.mean() == pytest.approx(100.0, abs=2.0)
    grey = means.mean(axis=1)
    assert 80.0 - 10.0 < grey.min() < 84.0 and 116.0 < grey.max() < 121.0 + 10.0
    between = (means - grey[:, None]).std()
    assert between == pytest.approx(100.0 * 0.1 / np.sqrt(12.0) * np.sqrt(2.0 / 3.0), rel=0.1)
